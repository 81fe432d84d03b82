package android.content;

import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import android.content.res.Resources;
import java.io.File;

public class ContextWrapper extends Context {
    public native AssetManager getAssets();
    public native Resources getResources();
    public native PackageManager getPackageManager();
    public native ContentResolver getContentResolver();
    public native Context getApplicationContext();
    public native File getFilesDir();
    public native void startActivity(Intent intent);
}
