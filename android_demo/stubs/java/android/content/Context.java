package android.content;

import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import android.content.res.Resources;
import java.io.File;

public abstract class Context {
    public abstract AssetManager getAssets();
    public abstract Resources getResources();
    public abstract PackageManager getPackageManager();
    public abstract ContentResolver getContentResolver();
    public abstract Context getApplicationContext();
    public abstract File getFilesDir();
    public abstract void startActivity(Intent intent);
    public final native int getColor(int id);
    public final native String getString(int resId);
    public final native String getString(int resId, Object... formatArgs);
    public final native <T> T getSystemService(Class<T> serviceClass);
}
