package android.app;

public class ActivityManager {
    public native void getMemoryInfo(MemoryInfo outInfo);

    public static class MemoryInfo {
        public MemoryInfo() {}
        public long availMem;
        public long threshold;
    }
}
