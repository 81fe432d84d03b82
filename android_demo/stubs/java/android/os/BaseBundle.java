package android.os;

import android.annotation.Nullable;

public class BaseBundle {
    public native void putDoubleArray(@Nullable String key, @Nullable double[] value);
    @Nullable
    public native double[] getDoubleArray(@Nullable String key);
    public native void putBoolean(@Nullable String key, boolean value);
    public native boolean getBoolean(String key);
}
