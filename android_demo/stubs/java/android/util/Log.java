package android.util;

import android.annotation.Nullable;

public final class Log {
    public static native int i(@Nullable String tag, String msg);
    public static native int i(@Nullable String tag, @Nullable String msg, @Nullable Throwable tr);
    public static native int w(@Nullable String tag, @Nullable String msg, @Nullable Throwable tr);
    public static native int e(@Nullable String tag, @Nullable String msg, @Nullable Throwable tr);
}
