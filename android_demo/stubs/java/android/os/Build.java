package android.os;

public class Build {
    public static final String MANUFACTURER = new String();
    public static final String MODEL = new String();
    public static final String[] SUPPORTED_ABIS = null;

    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("0");
    }
}
