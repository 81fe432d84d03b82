package edgesr.demo

import android.os.Build
import android.view.View
import android.view.WindowInsets

/**
 * Draw behind the system's bars, as Android 15 has every app do, but put nothing there to read or touch:
 * padding as wide as bars and cutout.
 */
fun stayClearOfBars(root: View) {
    root.systemUiVisibility =
        View.SYSTEM_UI_FLAG_LAYOUT_STABLE or View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or
        View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
    root.setOnApplyWindowInsetsListener { view, insets ->
        pad(view, insets)
        insets
    }
}

private fun pad(
    view: View,
    insets: WindowInsets,
) = if (Build.VERSION.SDK_INT >= 30) Api30.pad(view, insets) else padOld(view, insets)

/** What replaces these begins at API 30. A cutout at the side is no part of them. */
@Suppress("DEPRECATION")
private fun padOld(
    view: View,
    insets: WindowInsets,
) {
    val cutout = insets.displayCutout
    view.setPadding(
        maxOf(insets.systemWindowInsetLeft, cutout?.safeInsetLeft ?: 0),
        maxOf(insets.systemWindowInsetTop, cutout?.safeInsetTop ?: 0),
        maxOf(insets.systemWindowInsetRight, cutout?.safeInsetRight ?: 0),
        maxOf(insets.systemWindowInsetBottom, cutout?.safeInsetBottom ?: 0),
    )
}
