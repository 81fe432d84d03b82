package android.view;

import android.annotation.Nullable;
import android.graphics.Insets;

public final class WindowInsets {
    public native int getSystemWindowInsetLeft();
    public native int getSystemWindowInsetTop();
    public native int getSystemWindowInsetRight();
    public native int getSystemWindowInsetBottom();
    @Nullable
    public native DisplayCutout getDisplayCutout();
    public native Insets getInsets(int typeMask);

    public static final class Type {
        public static native int systemBars();
        public static native int displayCutout();
    }
}
