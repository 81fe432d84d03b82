package android.view;

import android.content.Context;

public class ScaleGestureDetector {
    public ScaleGestureDetector(Context context, OnScaleGestureListener listener) {}
    public native boolean onTouchEvent(MotionEvent event);
    public native float getScaleFactor();
    public native float getFocusX();
    public native float getFocusY();

    public static interface OnScaleGestureListener {
        boolean onScale(ScaleGestureDetector detector);
    }

    public static class SimpleOnScaleGestureListener implements OnScaleGestureListener {
        public SimpleOnScaleGestureListener() {}
        public native boolean onScale(ScaleGestureDetector detector);
    }
}
