package android.view.accessibility;

public class AccessibilityNodeInfo {
    public static final int ACTION_SCROLL_FORWARD = Integer.parseInt("0");
    public static final int ACTION_SCROLL_BACKWARD = Integer.parseInt("0");
    public native CharSequence getClassName();
    public native void setClassName(CharSequence className);
    public native RangeInfo getRangeInfo();
    public native void setRangeInfo(RangeInfo rangeInfo);
    public native void addAction(AccessibilityAction action);

    public static final class AccessibilityAction {
        public static final AccessibilityAction ACTION_SCROLL_FORWARD = null;
        public static final AccessibilityAction ACTION_SCROLL_BACKWARD = null;
    }

    public static final class RangeInfo {
        public static final int RANGE_TYPE_PERCENT = Integer.parseInt("0");
        public static native RangeInfo obtain(int type, float min, float max, float current);
    }
}
