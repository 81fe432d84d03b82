package android.graphics;

import android.util.Size;
import java.io.File;
import java.io.IOException;

public final class ImageDecoder {
    public static final int ALLOCATOR_SOFTWARE = Integer.parseInt("0");
    public static native Source createSource(File file);
    public static native Bitmap decodeBitmap(Source src, OnHeaderDecodedListener listener) throws IOException;
    public native int getAllocator();
    public native void setAllocator(int allocator);
    public native void setTargetColorSpace(ColorSpace colorSpace);

    public static abstract class Source {
    }

    public static class ImageInfo {
        public native Size getSize();
    }

    public static interface OnHeaderDecodedListener {
        void onHeaderDecoded(ImageDecoder decoder, ImageInfo info, Source source);
    }
}
