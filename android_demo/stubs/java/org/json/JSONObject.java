package org.json;

import android.annotation.Nullable;

public class JSONObject {
    public JSONObject() {}
    public native JSONObject put(String name, @Nullable Object value) throws JSONException;
    public native JSONObject put(String name, int value) throws JSONException;
    public native JSONObject put(String name, long value) throws JSONException;
    public native JSONObject put(String name, double value) throws JSONException;
    public native boolean has(@Nullable String name);
    public native String toString(int indentSpaces) throws JSONException;
}
