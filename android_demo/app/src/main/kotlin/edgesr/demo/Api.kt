package edgesr.demo

import android.annotation.TargetApi
import android.content.ContentResolver
import android.content.ContentValues
import android.content.Intent
import android.net.Uri
import android.os.Environment
import android.os.PowerManager
import android.provider.MediaStore
import android.view.View
import android.view.WindowInsets
import java.io.IOException

// What is newer than minSdk, by the version that brought it. A test holds each object to its version,
// and each use of one to a check of SDK_INT on the same line.

/** Pictures that an app adds without asking for a permission. */
@TargetApi(29)
object Api29 {
    /** A new picture that others do not see until [publish]. */
    fun pending(
        resolver: ContentResolver,
        name: String,
        folder: String,
    ): Uri {
        val values = ContentValues()
        values.put(MediaStore.MediaColumns.DISPLAY_NAME, name)
        values.put(MediaStore.MediaColumns.MIME_TYPE, "image/png")
        values.put(MediaStore.MediaColumns.RELATIVE_PATH, Environment.DIRECTORY_PICTURES + "/" + folder)
        values.put(MediaStore.MediaColumns.IS_PENDING, 1)
        return resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values)
            ?: throw IOException("no place for $name")
    }

    fun publish(
        resolver: ContentResolver,
        uri: Uri,
    ) {
        val values = ContentValues()
        values.put(MediaStore.MediaColumns.IS_PENDING, 0)
        resolver.update(uri, values, null, null)
    }

    fun thermalStatus(power: PowerManager): Int = power.currentThermalStatus
}

@TargetApi(30)
object Api30 {
    /** Keep the content of [view] out of the system's bars and the cutout. */
    fun pad(
        view: View,
        insets: WindowInsets,
    ) {
        val bars = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
        view.setPadding(bars.left, bars.top, bars.right, bars.bottom)
    }

    fun describe(
        view: View,
        state: String?,
    ) {
        view.stateDescription = state
    }
}

@TargetApi(33)
object Api33 {
    /** The system's photo picker, which needs no permission. */
    fun pickImage(): Intent = Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*")

    fun sharedUri(intent: Intent): Uri? = intent.getParcelableExtra(Intent.EXTRA_STREAM, Uri::class.java)
}
