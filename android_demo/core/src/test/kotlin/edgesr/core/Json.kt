package edgesr.core

/**
 * A reader of the golden files: objects as maps, arrays as lists, numbers as doubles. Anything else is
 * an error.
 */
internal class Json(
    private val text: String,
) {
    private var at = 0

    fun parse(): Any? = value().also { check(skip() == END) { "more at $at" } }

    private fun value(): Any? =
        when (val next = skip()) {
            '{' -> sequence('}') { string().also { expect(':') } to value() }.associate { it }
            '[' -> sequence(']') { value() }
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number().also { check(next in "-0123456789") { "'$next' at $at" } }
        }

    private fun <T> sequence(
        end: Char,
        item: () -> T,
    ): List<T> {
        at += 1
        val items = ArrayList<T>()
        while (skip() != end) {
            if (items.isNotEmpty()) expect(',')
            items += item()
        }
        at += 1
        return items
    }

    private fun string(): String {
        expect('"')
        val end = text.indexOf('"', at)
        return text.substring(at, end).also {
            check('\\' !in it) { "escapes are not read" }
            at = end + 1
        }
    }

    private fun number(): Double {
        val begin = at
        while (at < text.length && text[at] in "+-.eE0123456789") at += 1
        return text.substring(begin, at).toDouble()
    }

    private fun <T> word(
        word: String,
        value: T,
    ): T {
        check(text.startsWith(word, at)) { "no $word at $at" }
        at += word.length
        return value
    }

    private fun expect(wanted: Char) {
        check(skip() == wanted) { "no '$wanted' at $at" }
        at += 1
    }

    private fun skip(): Char {
        while (at < text.length && text[at].isWhitespace()) at += 1
        return text.getOrElse(at) { END }
    }

    private companion object {
        const val END = '\u0000'
    }
}

/** The rows under [name] in the golden file [file] of the repository. */
@Suppress("UNCHECKED_CAST")
internal fun golden(
    file: String,
    name: String,
): List<Map<String, Any?>> {
    val folder =
        checkNotNull(System.getProperty("edgesr.golden")) { "run with -Dedgesr.golden=tests/golden" }
    val content = Json(java.io.File(folder, file).readText()).parse() as Map<String, Any?>
    return content.getValue(name) as List<Map<String, Any?>>
}

internal fun Map<String, Any?>.int(key: String): Int = (getValue(key) as Double).toInt()

internal fun Map<String, Any?>.ints(key: String): IntArray =
    (getValue(key) as List<*>)
        .map {
            (it as Double).toInt()
        }.toIntArray()
