package android.system;

public final class Os {
    public static native long sysconf(int name);
}
