package android.widget;

import android.content.Context;

public abstract class AbsSpinner extends AdapterView<SpinnerAdapter> {
    public AbsSpinner(Context context) { super(context); }
    public native SpinnerAdapter getAdapter();
    public native void setAdapter(SpinnerAdapter adapter);
    public native void setSelection(int position);
}
