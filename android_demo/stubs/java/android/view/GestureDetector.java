package android.view;

import android.annotation.Nullable;
import android.content.Context;

public class GestureDetector {
    public GestureDetector(@Nullable Context context, OnGestureListener listener) {}
    public native boolean onTouchEvent(MotionEvent ev);

    public static interface OnGestureListener {
        boolean onDown(MotionEvent e);
        boolean onScroll(@Nullable MotionEvent e1, MotionEvent e2, float distanceX, float distanceY);
    }

    public static interface OnDoubleTapListener {
        boolean onSingleTapConfirmed(MotionEvent e);
        boolean onDoubleTap(MotionEvent e);
    }

    public static class SimpleOnGestureListener implements OnGestureListener, OnDoubleTapListener {
        public SimpleOnGestureListener() {}
        public native boolean onDown(MotionEvent e);
        public native boolean onScroll(@Nullable MotionEvent e1, MotionEvent e2, float distanceX, float distanceY);
        public native boolean onSingleTapConfirmed(MotionEvent e);
        public native boolean onDoubleTap(MotionEvent e);
    }
}
