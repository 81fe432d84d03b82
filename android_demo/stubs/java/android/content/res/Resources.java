package android.content.res;

import android.util.DisplayMetrics;

public class Resources {
    public native DisplayMetrics getDisplayMetrics();
    public native float getDimension(int id);
    public native String getQuantityString(int id, int quantity, Object... formatArgs);
}
