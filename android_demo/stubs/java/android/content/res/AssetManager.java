package android.content.res;

import android.annotation.Nullable;
import java.io.IOException;
import java.io.InputStream;

public final class AssetManager {
    @Nullable
    public native String[] list(String path) throws IOException;
    public native InputStream open(String fileName) throws IOException;
}
