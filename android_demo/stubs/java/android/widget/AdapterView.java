package android.widget;

import android.annotation.Nullable;
import android.content.Context;
import android.view.View;
import android.view.ViewGroup;

public abstract class AdapterView<T extends Adapter> extends ViewGroup {
    public AdapterView(Context context) { super(context); }
    public abstract T getAdapter();
    public abstract void setAdapter(T adapter);
    public abstract void setSelection(int position);
    @Nullable
    public final native OnItemSelectedListener getOnItemSelectedListener();
    public native void setOnItemSelectedListener(@Nullable OnItemSelectedListener listener);

    public static interface OnItemSelectedListener {
        void onItemSelected(AdapterView<?> parent, View view, int position, long id);
        void onNothingSelected(AdapterView<?> parent);
    }
}
