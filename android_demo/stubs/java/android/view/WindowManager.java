package android.view;

public interface WindowManager {

    static class LayoutParams {
        public static final int FLAG_KEEP_SCREEN_ON = Integer.parseInt("0");
    }
}
