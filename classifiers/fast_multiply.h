/* Rows of whole numbers times a matrix of whole numbers. Knows no layer.
 *
 * Sums are exact 32-bit integers, so that it does not matter in which order, on which processor and
 * beside which other rows they are made: each way of computing them gives the same bits. The caller
 * bounds the integers (see fast_pack.py): inputs * levels * largest weight < 2^31.
 */
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__AVX2__)
#include <immintrin.h>
#endif

#define PANEL 16 /* output columns that are computed together */
#define ROWS 4   /* rows that are computed together, without VNNI */
#define MIDDLE 128 /* added to a byte, as VNNI multiplies unsigned bytes by signed ones */

typedef struct {
    const void *weights;  /* panels of PANEL columns, in each the inputs by four bytes */
    const float *scales;  /* one a column */
    const float *bias;    /* one a column */
    const int32_t *ahead; /* one a column: how much MIDDLE makes its sum too large */
    int64_t inputs, outputs;
    int64_t levels; /* largest integer of an input */
    int64_t bytes;  /* of an integer, 1 (VNNI only) or 2 */
    int64_t vnni;   /* whether this processor has it */
} linear_t;

/* What a row's integers are multiplied to: rows of `stride` floats, `worth` one a row. */
typedef struct {
    float *out;
    int64_t stride;
    const float *worth;
} target_t;

static inline void scaled(const linear_t *by, const int32_t *sums, float worth, int64_t column,
                          float *into) {
    for (int c = 0; c < PANEL; c++)
        into[c] = (float)sums[c] * (worth * by->scales[column + c]) + by->bias[column + c];
}

/* `rows` rows times one panel; `rows` is known when compiled. */
static inline __attribute__((always_inline)) void small(const linear_t *by, const int16_t *in,
                                                        int64_t row, int64_t column, target_t to,
                                                        const int rows) {
    const int64_t inputs = by->inputs;
    const int16_t *panel = (const int16_t *)by->weights + column * inputs;
    int32_t sums[ROWS * PANEL];
    in += row * inputs;
#if defined(__x86_64__) && defined(__AVX2__)
    __m256i held[ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) held[r][0] = held[r][1] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int64_t k = 0; k < inputs; k += 2) {
        __m256i left = _mm256_loadu_si256((const __m256i *)(panel + k * PANEL));
        __m256i right = _mm256_loadu_si256((const __m256i *)(panel + k * PANEL + PANEL));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, in + r * inputs + k, sizeof pair);
            __m256i both = _mm256_set1_epi32(pair);
            held[r][0] = _mm256_add_epi32(held[r][0], _mm256_madd_epi16(both, left));
            held[r][1] = _mm256_add_epi32(held[r][1], _mm256_madd_epi16(both, right));
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_si256((__m256i *)(sums + r * PANEL), held[r][0]);
        _mm256_storeu_si256((__m256i *)(sums + r * PANEL + 8), held[r][1]);
    }
#else
    memset(sums, 0, (size_t)rows * PANEL * sizeof *sums);
    for (int64_t k = 0; k < inputs; k += 2, panel += 2 * PANEL)
        for (int r = 0; r < rows; r++) {
            int32_t first = in[r * inputs + k], second = in[r * inputs + k + 1];
            for (int c = 0; c < PANEL; c++)
                sums[r * PANEL + c] += first * panel[2 * c] + second * panel[2 * c + 1];
        }
#endif
    for (int r = 0; r < rows; r++)
        scaled(by, sums + r * PANEL, to.worth[row + r], column,
               to.out + (row + r) * to.stride + column);
}

#if defined(__x86_64__) && defined(__AVX2__)

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static int has_vnni(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

/* Sums are named, not numbered: compilers keep no array of registers in registers. */
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define EMPTY(r) __m512i left##r = _mm512_setzero_si512(), right##r = left##r;
/* In assembly, as gcc 12 copies each sum to and fro around the intrinsic. */
#define ADD(sum, all, weights)                                                        \
    if (bytes == 1)                                                                   \
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(all), "v"(weights));          \
    else                                                                              \
        __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(all), "v"(weights));
#define STEP(r)                                                                    \
    if (rows > r) {                                                                \
        const uint8_t *of = r < 3 ? first : r < 6 ? fourth : r < 9 ? seventh : tenth; \
        memcpy(&four, of + r % 3 * length + k, sizeof four);                       \
        __m512i all = _mm512_set1_epi32(four);                                     \
        ADD(left##r, all, left)                                                    \
        if (panels == 2) { ADD(right##r, all, right) }                             \
    }
#define STORE(r)                                                                   \
    if (rows > r) {                                                                \
        float *out = to.out + (row + r) * to.stride + column;                      \
        with_vnni_scaled(by, left##r, to.worth[row + r], column, out);             \
        if (panels == 2)                                                           \
            with_vnni_scaled(by, right##r, to.worth[row + r], column + PANEL, out + PANEL); \
    }

static inline __attribute__((always_inline)) VNNI void with_vnni_scaled(const linear_t *by,
                                                                        __m512i sums, float worth,
                                                                        int64_t column,
                                                                        float *into) {
    sums = _mm512_sub_epi32(sums, _mm512_loadu_si512(by->ahead + column));
    __m512 scales = _mm512_mul_ps(_mm512_set1_ps(worth), _mm512_loadu_ps(by->scales + column));
    __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scales);
    _mm512_storeu_ps(into, _mm512_add_ps(scaled, _mm512_loadu_ps(by->bias + column)));
}

/* `rows` rows times `panels` panels; both, and `bytes`, are known when compiled. */
static inline __attribute__((always_inline)) VNNI void tile(const linear_t *by, const uint8_t *in,
                                                            int64_t row, int64_t column,
                                                            target_t to, const int rows,
                                                            const int panels, const int bytes) {
    const int64_t length = by->inputs * bytes;
    const uint8_t *panel = (const uint8_t *)by->weights + column * length;
    const uint8_t *first = in + row * length, *fourth = first + 3 * length;
    const uint8_t *seventh = first + 6 * length, *tenth = first + 9 * length;
    EACH(EMPTY)
    for (int64_t k = 0; k < length; k += 4, panel += 4 * PANEL) {
        int32_t four;
        __m512i left = _mm512_loadu_si512(panel), right = left;
        if (panels == 2) right = _mm512_loadu_si512(panel + length * PANEL);
        if (rows == 12) { /* the next panels: a stream ends with each, and none is foreseen */
            _mm_prefetch((const char *)panel + 2 * length * PANEL, _MM_HINT_T1);
            if (panels == 2)
                _mm_prefetch((const char *)panel + 3 * length * PANEL, _MM_HINT_T1);
        }
        EACH(STEP)
    }
    EACH(STORE)
}

static inline __attribute__((always_inline)) VNNI void strip(const linear_t *by, const uint8_t *in,
                                                             int64_t rows, int64_t column,
                                                             target_t to, const int panels,
                                                             const int bytes) {
    int64_t r = 0;
    for (; r + 12 <= rows; r += 12) tile(by, in, r, column, to, 12, panels, bytes);
    for (; r + 6 <= rows; r += 6) tile(by, in, r, column, to, 6, panels, bytes);
    for (; r + 3 <= rows; r += 3) tile(by, in, r, column, to, 3, panels, bytes);
    for (; r < rows; r++) tile(by, in, r, column, to, 1, panels, bytes);
}

static VNNI void with_vnni(const linear_t *by, const uint8_t *in, int64_t rows, target_t to) {
    int64_t column = 0;
    for (; column + 2 * PANEL <= by->outputs; column += 2 * PANEL)
        if (by->bytes == 1)
            strip(by, in, rows, column, to, 2, 1);
        else
            strip(by, in, rows, column, to, 2, 2);
    for (; column < by->outputs; column += PANEL)
        if (by->bytes == 1)
            strip(by, in, rows, column, to, 1, 1);
        else
            strip(by, in, rows, column, to, 1, 2);
}

#else

static int has_vnni(void) { return 0; }
static void with_vnni(const linear_t *by, const uint8_t *in, int64_t rows, target_t to) {
    (void)by, (void)in, (void)rows, (void)to;
}

#endif

/* (rows, inputs), as integers, to (rows, outputs), as floats. */
static void multiply(const linear_t *by, const void *in, int64_t rows, target_t to) {
    if (by->vnni) {
        with_vnni(by, in, rows, to);
        return;
    }
    for (int64_t column = 0; column < by->outputs; column += PANEL) {
        int64_t r = 0;
        for (; r + ROWS <= rows; r += ROWS) small(by, in, r, column, to, ROWS);
        for (; r < rows; r++) small(by, in, r, column, to, 1);
    }
}
