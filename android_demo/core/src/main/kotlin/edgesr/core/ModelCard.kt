package edgesr.core

import java.io.Reader
import java.util.Properties

/** A model file cannot be used; the message says why and is meant for the person who chose it. */
class BadModel(
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause)

/**
 * What `python -m export.android` says of a .pte, in a .properties file beside it.
 *
 * The tile is height x width in LR pixels, the only size that the model takes.
 */
data class ModelCard(
    val file: String,
    val sha256: String,
    val model: String,
    val scale: Int,
    val scheme: String,
    val tileHeight: Int,
    val tileWidth: Int,
    val overlap: Int,
    val multiple: Int,
    val executorch: String,
) {
    /** What a person chooses by: "msfin-s x4 int8". */
    val label: String get() = "$model x$scale " + (PRECISIONS[scheme] ?: scheme)

    /** Values in one LR tile, and in one SR tile. */
    val inputSize: Int get() = 3 * tileHeight * tileWidth
    val outputSize: Int get() = inputSize * scale * scale

    companion object {
        const val FLOAT = "fp32"

        /** w8a8 leaves in float what int8 would lose most on; the scheme int8 nothing. */
        private val PRECISIONS = mapOf("w8a8" to "int8", "int8" to "all int8")

        /** @throws BadModel where a fact is missing or makes no sense. */
        fun read(reader: Reader): ModelCard {
            val facts = Properties().apply { load(reader) }

            fun text(key: String) =
                facts.getProperty(key) ?: throw BadModel("The model's card does not say its $key.")

            fun number(key: String) =
                text(key).toIntOrNull()
                    ?: throw BadModel("The model's card says $key=${text(key)}, which is no number.")
            val card =
                ModelCard(
                    text("file"),
                    text("sha256"),
                    text("model"),
                    number("scale"),
                    text("scheme"),
                    number("tile_height"),
                    number("tile_width"),
                    number("overlap"),
                    number("multiple"),
                    text("executorch"),
                )
            return card.also(::check)
        }

        private fun check(card: ModelCard) {
            if (card.scale !in 1..8) {
                throw BadModel("The model's card says scale=${card.scale}; 1 to 8 are possible.")
            }
            try {
                plan(card.tileHeight, card.tileHeight, card.overlap, card.multiple)
                plan(card.tileWidth, card.tileWidth, card.overlap, card.multiple)
            } catch (error: IllegalArgumentException) {
                throw BadModel("The model's card cannot be used: ${error.message}.", error)
            }
        }
    }
}
