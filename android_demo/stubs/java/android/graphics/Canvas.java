package android.graphics;

import android.annotation.Nullable;

public class Canvas {
    public Canvas(Bitmap bitmap) {}
    public native void drawBitmap(Bitmap bitmap, float left, float top, @Nullable Paint paint);
    public native void drawBitmap(Bitmap bitmap, @Nullable Rect src, RectF dst, @Nullable Paint paint);
    public native void drawRect(float left, float top, float right, float bottom, Paint paint);
    public native void drawCircle(float cx, float cy, float radius, Paint paint);
    public native void drawText(String text, float x, float y, Paint paint);
    public native boolean clipRect(float left, float top, float right, float bottom);
    public native int save();
    public native void restore();
}
