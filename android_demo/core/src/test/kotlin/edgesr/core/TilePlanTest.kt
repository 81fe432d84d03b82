package edgesr.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class TilePlanTest {
    @Test
    fun plansAreThoseOfPython() {
        val rows = golden("tiles.json", "plans")
        assertTrue("${rows.size} plans", rows.size >= 60)
        for (row in rows) {
            val arguments = listOf("length", "tile", "overlap", "multiple").map(row::int)
            val (length, tile, overlap, multiple) = arguments
            val spans =
                plan(
                    length,
                    tile,
                    overlap,
                    multiple,
                ).map { listOf(it.start, it.keepFrom, it.keepTo) }
            val wanted =
                (row.getValue("spans") as List<*>).map { span ->
                    (span as List<*>).map { (it as Double).toInt() }
                }
            assertEquals(arguments.toString(), wanted, spans)
            assertEquals(row.int("padded"), paddedLength(length, tile, multiple))
        }
    }

    @Test
    fun impossiblePlansAreRefusedAsInPython() {
        val rows = golden("tiles.json", "refused")
        assertTrue("${rows.size} refusals", rows.size >= 5)
        for (row in rows) {
            assertThrows(row.toString(), IllegalArgumentException::class.java) {
                plan(row.int("length"), row.int("tile"), row.int("overlap"), row.int("multiple"))
            }
        }
    }

    @Test
    fun mirrorIsThatOfPython() {
        for (row in golden("pixels.json", "mirrored")) {
            val wanted = row.ints("indices")
            assertArrayEquals(wanted, IntArray(wanted.size) { mirrored(it, row.int("length")) })
        }
        assertEquals(listOf(1, 0, 0, 1), (-2..1).map { mirrored(it, 5) })
    }
}
