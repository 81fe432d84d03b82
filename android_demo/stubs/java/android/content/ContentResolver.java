package android.content;

import android.annotation.Nullable;
import android.net.Uri;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.io.OutputStream;

public abstract class ContentResolver {
    @Nullable
    public final native InputStream openInputStream(Uri uri) throws FileNotFoundException;
    @Nullable
    public final native OutputStream openOutputStream(Uri uri) throws FileNotFoundException;
    @Nullable
    public final native Uri insert(Uri url, @Nullable ContentValues values);
    public final native int update(Uri uri, @Nullable ContentValues values, @Nullable String where, @Nullable String[] selectionArgs);
    public final native int delete(Uri url, @Nullable String where, @Nullable String[] selectionArgs);
}
