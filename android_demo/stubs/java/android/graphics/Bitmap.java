package android.graphics;

import android.annotation.Nullable;
import android.os.Parcelable;

public final class Bitmap implements Parcelable {
    public static native Bitmap createBitmap(int width, int height, Config config);
    public static native Bitmap createScaledBitmap(Bitmap src, int dstWidth, int dstHeight, boolean filter);
    public static native Bitmap createBitmap(int[] colors, int width, int height, Config config);
    public native int getWidth();
    public native int getHeight();
    public native int getAllocationByteCount();
    @Nullable
    public native Config getConfig();
    public native boolean hasAlpha();
    public native void setHasAlpha(boolean hasAlpha);
    public native void eraseColor(int c);
    public native void recycle();
    public native void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height);
    public native void setPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height);

    public enum Config {
        ARGB_8888
    }
}
