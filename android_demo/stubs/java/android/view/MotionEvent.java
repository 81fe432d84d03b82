package android.view;

public final class MotionEvent {
    public static final int ACTION_DOWN = Integer.parseInt("0");
    public native int getActionMasked();
    public native int getPointerCount();
    public native float getX();
    public native float getY();
}
