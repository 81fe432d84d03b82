package android.provider;

import android.content.ContentResolver;
import android.net.Uri;
import java.io.FileNotFoundException;

public final class DocumentsContract {
    public static native boolean deleteDocument(ContentResolver content, Uri documentUri)
        throws FileNotFoundException;
}
