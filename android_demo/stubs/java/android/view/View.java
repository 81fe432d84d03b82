package android.view;

import android.annotation.Nullable;
import android.content.Context;
import android.content.res.Resources;
import android.graphics.Canvas;
import android.os.Bundle;
import android.util.AttributeSet;
import android.view.accessibility.AccessibilityNodeInfo;

public class View {
    public static final int VISIBLE = Integer.parseInt("0");
    public static final int INVISIBLE = Integer.parseInt("0");
    public static final int ACCESSIBILITY_LIVE_REGION_NONE = Integer.parseInt("0");
    public static final int ACCESSIBILITY_LIVE_REGION_POLITE = Integer.parseInt("0");
    public static final int SYSTEM_UI_FLAG_LAYOUT_STABLE = Integer.parseInt("0");
    public static final int SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN = Integer.parseInt("0");
    public static final int SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION = Integer.parseInt("0");
    public View(Context context) {}
    public View(Context context, @Nullable AttributeSet attrs) {}
    public final native Context getContext();
    public native Resources getResources();
    public final native int getWidth();
    public final native int getHeight();
    public native boolean isEnabled();
    public native void setEnabled(boolean enabled);
    public native int getVisibility();
    public native void setVisibility(int visibility);
    public native boolean isFocusable();
    public native void setFocusable(boolean focusable);
    public native CharSequence getContentDescription();
    public native void setContentDescription(CharSequence contentDescription);
    @Nullable
    public native CharSequence getStateDescription();
    public native void setStateDescription(@Nullable CharSequence stateDescription);
    public native int getAccessibilityLiveRegion();
    public native void setAccessibilityLiveRegion(int mode);
    public native int getSystemUiVisibility();
    public native void setSystemUiVisibility(int visibility);
    public native void setPadding(int left, int top, int right, int bottom);
    public native void setOnClickListener(@Nullable OnClickListener l);
    public native void setOnApplyWindowInsetsListener(OnApplyWindowInsetsListener listener);
    public native void invalidate();
    public native boolean performClick();
    public native boolean performAccessibilityAction(int action, @Nullable Bundle arguments);
    public native void onInitializeAccessibilityNodeInfo(AccessibilityNodeInfo info);
    public native boolean onTouchEvent(MotionEvent event);
    protected native void onDraw(Canvas canvas);
    protected native void onSizeChanged(int w, int h, int oldw, int oldh);
    protected native void onDetachedFromWindow();

    public static interface OnClickListener {
        void onClick(View v);
    }

    public static interface OnApplyWindowInsetsListener {
        WindowInsets onApplyWindowInsets(View v, WindowInsets insets);
    }
}
