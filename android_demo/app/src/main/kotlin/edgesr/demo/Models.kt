package edgesr.demo

import android.content.Context
import edgesr.core.BadModel
import edgesr.core.ModelCard
import java.io.File
import java.io.IOException
import java.security.DigestInputStream
import java.security.MessageDigest

/** The models among the app's assets, as `python -m export.android` put them there. */
class Models(
    private val context: Context,
) {
    /** Their cards, int8 ones first. @throws BadModel where there are none or one is damaged. */
    fun cards(): List<ModelCard> {
        val names =
            context.assets
                .list(FOLDER)
                .orEmpty()
                .filter { it.endsWith(".properties") }
        if (names.isEmpty()) throw BadModel(context.getString(R.string.error_no_model))
        val cards =
            names.sorted().map { name ->
                context.assets
                    .open("$FOLDER/$name")
                    .reader()
                    .use(ModelCard::read)
            }
        return cards.sortedBy { it.scheme == ModelCard.FLOAT }
    }

    /**
     * A model as a file: the runtime wants a path, which an asset has none of. @throws BadModel where it
     * is damaged.
     */
    fun file(card: ModelCard): File {
        val folder = File(context.filesDir, FOLDER).apply { mkdirs() }
        val file = File(folder, "${card.sha256}.pte")
        if (file.isFile) return file
        val half = File.createTempFile("model", null, folder)
        try {
            if (copy(card, half) !=
                card.sha256
            ) {
                throw BadModel(context.getString(R.string.error_damaged_model, card.file))
            }
            if (!half.renameTo(file)) throw IOException("$file cannot be written")
            return file
        } catch (error: IOException) {
            throw BadModel(context.getString(R.string.error_model_copy, card.file, error.message), error)
        } finally {
            half.delete()
        }
    }

    /** Copy an asset; the SHA-256 of what was copied. */
    private fun copy(
        card: ModelCard,
        to: File,
    ): String {
        val digest = MessageDigest.getInstance("SHA-256")
        DigestInputStream(context.assets.open("$FOLDER/${card.file}"), digest).use { source ->
            to.outputStream().use { source.copyTo(it) }
        }
        return digest.digest().joinToString("") { "%02x".format(it) }
    }

    private companion object {
        const val FOLDER = "models"
    }
}
