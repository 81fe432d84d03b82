package android.app;

import android.annotation.Nullable;
import android.content.Intent;
import android.os.Bundle;
import android.view.ContextThemeWrapper;
import android.view.View;
import android.view.Window;

public class Activity extends ContextThemeWrapper {
    public static final int RESULT_OK = Integer.parseInt("0");
    protected native void onCreate(@Nullable Bundle savedInstanceState);
    protected native void onSaveInstanceState(Bundle outState);
    protected native void onNewIntent(Intent intent);
    protected native void onStart();
    protected native void onStop();
    protected native void onActivityResult(int requestCode, int resultCode, @Nullable Intent data);
    public native void setContentView(int layoutResID);
    public native void setContentView(View view);
    public native <T extends View> T findViewById(int id);
    public native Window getWindow();
    public native Intent getIntent();
    public native boolean isDestroyed();
    public native void startActivityForResult(Intent intent, int requestCode);
    public final native void runOnUiThread(Runnable action);
}
