package android.widget;

import android.content.Context;

public class SeekBar extends AbsSeekBar {
    public SeekBar(Context context) { super(context); }
}
