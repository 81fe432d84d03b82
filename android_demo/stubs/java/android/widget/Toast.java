package android.widget;

import android.content.Context;

public class Toast {
    public static final int LENGTH_LONG = Integer.parseInt("0");
    public static native Toast makeText(Context context, int resId, int duration);
    public native void show();
}
