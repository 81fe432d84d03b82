package android.widget;

import android.content.Context;
import android.view.View;

public class ProgressBar extends View {
    public ProgressBar(Context context) { super(context); }
    public native boolean isIndeterminate();
    public native void setIndeterminate(boolean indeterminate);
    public native int getMax();
    public native int getProgress();
    public native void setProgress(int progress);
}
