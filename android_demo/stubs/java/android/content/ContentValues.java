package android.content;

public class ContentValues {
    public ContentValues() {}
    public native void put(String key, String value);
    public native void put(String key, Integer value);
}
