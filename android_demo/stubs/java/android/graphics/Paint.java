package android.graphics;

public class Paint {
    public static final int ANTI_ALIAS_FLAG = Integer.parseInt("0");
    public static final int FILTER_BITMAP_FLAG = Integer.parseInt("0");
    public Paint(int flags) {}
    public native int getColor();
    public native void setColor(int color);
    public native float getTextSize();
    public native void setTextSize(float textSize);
    public final native boolean isFilterBitmap();
    public native void setFilterBitmap(boolean filter);
    public native float measureText(String text);
    public native float ascent();
    public native float descent();
}
