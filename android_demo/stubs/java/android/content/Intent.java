package android.content;

import android.annotation.Nullable;
import android.net.Uri;
import android.os.Parcelable;

public class Intent implements Parcelable {
    public static final String ACTION_SEND = new String();
    public static final String ACTION_OPEN_DOCUMENT = new String();
    public static final String ACTION_CREATE_DOCUMENT = new String();
    public static final String CATEGORY_OPENABLE = new String();
    public static final String EXTRA_STREAM = new String();
    public static final String EXTRA_TITLE = new String();
    public static final int FLAG_GRANT_READ_URI_PERMISSION = Integer.parseInt("0");
    public static final int FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY = Integer.parseInt("0");
    public Intent(String action) {}
    public native Intent addCategory(String category);
    public native Intent setType(@Nullable String type);
    public native Intent putExtra(String name, @Nullable String value);
    public native Intent putExtra(String name, @Nullable Parcelable value);
    public native Intent addFlags(int flags);
    public native int getFlags();
    @Nullable
    public native String getAction();
    @Nullable
    public native Uri getData();
    @Nullable
    public native String getStringExtra(String name);
    public native int getIntExtra(String name, int defaultValue);
    @Nullable
    public native <T extends Parcelable> T getParcelableExtra(String name);
    @Nullable
    public native <T> T getParcelableExtra(@Nullable String name, Class<T> clazz);
    public static native Intent createChooser(Intent target, CharSequence title);
}
