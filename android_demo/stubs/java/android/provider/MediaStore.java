package android.provider;

import android.net.Uri;

public final class MediaStore {
    public static final String ACTION_PICK_IMAGES = new String();

    public static interface MediaColumns {
        static final String DISPLAY_NAME = new String();
        static final String MIME_TYPE = new String();
        static final String RELATIVE_PATH = new String();
        static final String IS_PENDING = new String();
    }

    public static final class Images {

        public static final class Media {
            public static final Uri EXTERNAL_CONTENT_URI = null;
        }
    }
}
