/* One sentence encoder's forward pass, in whole numbers where it multiplies. Knows no model's name.
 *
 * Weights and activations are 16-bit integers with a scale a row, sums are exact 32-bit integers.
 * So a token's row has the same bits whatever stands in the rows beside it, and texts are laid end
 * to end, unpadded. Everything else is done row by row, in float, without contraction.
 *
 * The caller bounds the integers (see fast.py): inputs * ACTIVATION * weights < 2^31.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define ACTIVATION 2047 /* 12 bits */
#define PANEL 16        /* output columns that are computed together */
#define ROWS 4          /* tokens that are computed together */

typedef float wide __attribute__((vector_size(32), aligned(4)));
typedef int32_t whole_wide __attribute__((vector_size(32), aligned(4)));
#define LANES 8

enum activation { GELU = 0, RELU = 1 };

typedef struct {
    const int16_t *weights; /* panels of PANEL columns, in each the inputs two by two */
    const float *scales;    /* one a column */
    const float *bias;      /* one a column */
    int64_t inputs, outputs;
} linear_t;

typedef struct {
    linear_t qkv, out, up, down;
    const float *norm_attention[2], *norm_output[2]; /* weight, bias */
} layer_t;

typedef struct {
    const float *words, *positions, *norm[2];
    const layer_t *layers;
    int64_t depth, width, heads, inner, first_position, activation, mean;
    double epsilon;
} model_t;

static inline wide either(whole_wide which, wide yes, wide no) {
    return (wide)(((whole_wide)yes & which) | ((whole_wide)no & ~which));
}

/* To the nearest whole number, for sizes below 2^22. */
static inline wide rounded(wide x) { return (x + 12582912.0f) - 12582912.0f; }

/* The largest of n numbers and `most`; n is a multiple of LANES. */
static inline float largest(const float *row, int64_t n, float most, const int sizes) {
    wide best = {0};
    best += most;
    for (int64_t i = 0; i < n; i += LANES) {
        wide x = *(const wide *)(row + i);
        if (sizes) x = (wide)((whole_wide)x & 0x7fffffff);
        best = either(x > best, x, best);
    }
    for (int lane = 0; lane < LANES; lane++) most = best[lane] > most ? best[lane] : most;
    return most;
}

static float total(const float *row, int64_t n) {
    wide sums = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) sums += *(const wide *)(row + i);
    float sum = 0;
    for (int lane = 0; lane < 8; lane++) sum += sums[lane];
    for (; i < n; i++) sum += row[i];
    return sum;
}

static float squares(const float *row, int64_t n) {
    wide sums = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) sums += *(const wide *)(row + i) * *(const wide *)(row + i);
    float sum = 0;
    for (int lane = 0; lane < 8; lane++) sum += sums[lane];
    for (; i < n; i++) sum += row[i] * row[i];
    return sum;
}

/* e^x for x <= 0: Cephes' polynomial (expf), relative error below 2e-7. */
static inline wide exponential(wide x) {
    x = either(x < -87.0f, (wide){0} - 87.0f, x);
    wide n = rounded(x * 1.44269504088896341f);
    wide r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    wide p = (wide){0} + 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    whole_wide power = (__builtin_convertvector(n, whole_wide) + 127) << 23;
    return p * (wide)power;
}

/* x * Phi(x), the error function by Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7. */
static inline wide gelu(wide x) {
    wide a = (wide)((whole_wide)x & 0x7fffffff) * 0.70710678118654752f;
    wide t = 1.0f / (1.0f + 0.3275911f * a);
    wide p = (wide){0} + 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    wide tail = 0.5f * p * t * exponential(-a * a); /* 1 - Phi(|x|) */
    return x * either(x < 0, tail, 1.0f - tail);
}

static void activate(float *row, int64_t n, int64_t kind) {
    for (int64_t i = 0; i < n; i += LANES) {
        wide *x = (wide *)(row + i);
        *x = kind == GELU ? gelu(*x) : either(*x < 0, (wide){0}, *x);
    }
}

/* A row as integers; returns what one of them is worth. */
static float quantise(const float *row, int64_t n, int16_t *into) {
    float most = largest(row, n, 0, 1);
    if (!(most > 0)) {
        memset(into, 0, (size_t)n * sizeof *into);
        return 0;
    }
    float times = ACTIVATION / most;
    for (int64_t i = 0; i < n; i += LANES) {
        whole_wide x = __builtin_convertvector(rounded(*(const wide *)(row + i) * times), whole_wide);
        for (int lane = 0; lane < LANES; lane++) into[i + lane] = (int16_t)x[lane];
    }
    return most / ACTIVATION;
}

/* `rows` rows of integers times one panel: sums, (rows, PANEL). `rows` is known when compiled. */
static inline __attribute__((always_inline)) void multiply(const int16_t *in, const int16_t *panel,
                                                           int64_t inputs, int32_t *sums,
                                                           const int rows) {
#if defined(__AVX2__)
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
}

static void scaled(const linear_t *by, const int32_t *sums, float worth, int64_t column,
                   float *into) {
    for (int c = 0; c < PANEL; c += LANES) {
        wide sum = __builtin_convertvector(*(const whole_wide *)(sums + c), wide);
        wide scale = worth * *(const wide *)(by->scales + column + c);
        *(wide *)(into + c) = sum * scale + *(const wide *)(by->bias + column + c);
    }
}

/* (rows, inputs) to (rows, outputs). `whole` and `worth` are room for the rows as integers. */
static void through(const linear_t *by, const float *in, int64_t rows, float *out, int16_t *whole,
                    float *worth) {
    int32_t sums[ROWS * PANEL];
    for (int64_t r = 0; r < rows; r++)
        worth[r] = quantise(in + r * by->inputs, by->inputs, whole + r * by->inputs);
    for (int64_t column = 0; column < by->outputs; column += PANEL) {
        const int16_t *panel = by->weights + column * by->inputs;
        int64_t r = 0;
        for (; r + ROWS <= rows; r += ROWS) {
            multiply(whole + r * by->inputs, panel, by->inputs, sums, ROWS);
            for (int i = 0; i < ROWS; i++)
                scaled(by, sums + i * PANEL, worth[r + i], column,
                       out + (r + i) * by->outputs + column);
        }
        for (; r < rows; r++) {
            multiply(whole + r * by->inputs, panel, by->inputs, sums, 1);
            scaled(by, sums, worth[r], column, out + r * by->outputs + column);
        }
    }
}

/* One layer of a torch module: what `through` does, for rows that somebody else holds. */
void lethe_linear(const linear_t *by, const float *in, int64_t rows, float *out, int16_t *whole,
                  float *worth) {
    through(by, in, rows, out, whole, worth);
}

/* row = norm(row + added) */
static void normalise(float *row, const float *added, int64_t n, const float *const norm[2],
                      double epsilon) {
    if (added)
        for (int64_t i = 0; i < n; i++) row[i] += added[i];
    float mean = total(row, n) / (float)n;
    for (int64_t i = 0; i < n; i++) row[i] -= mean;
    float by = 1.0f / sqrtf(squares(row, n) / (float)n + (float)epsilon);
    for (int64_t i = 0; i < n; i++) row[i] = row[i] * by * norm[0][i] + norm[1][i];
}

/* Attention of one text over itself. `room`: (size + 1) * (length + 7) floats, size of a head. */
static void attend(const model_t *model, const float *qkv, int64_t length, float *out,
                   float *room) {
    int64_t width = model->width, size = width / model->heads;
    int64_t padded = (length + LANES - 1) / LANES * LANES;
    float *keys = room, *near = room + size * padded, scale = 1.0f / sqrtf((float)size);
    memset(keys, 0, (size_t)(size * padded) * sizeof *keys);
    for (int64_t head = 0; head < model->heads; head++) {
        const float *query = qkv + head * size, *key = query + width, *value = key + width;
        for (int64_t j = 0; j < length; j++)
            for (int64_t d = 0; d < size; d++) keys[d * padded + j] = key[j * 3 * width + d];
        for (int64_t i = 0; i < length; i++) {
            const float *asked = query + i * 3 * width;
            float *said = out + i * width + head * size;
            for (int64_t j = 0; j < padded; j += LANES) {
                wide sum = {0};
                for (int64_t d = 0; d < size; d++)
                    sum += asked[d] * scale * *(const wide *)(keys + d * padded + j);
                *(wide *)(near + j) = sum;
            }
            for (int64_t j = length; j < padded; j++) near[j] = near[0];
            float most = largest(near, padded, near[0], 0);
            for (int64_t j = 0; j < padded; j += LANES)
                *(wide *)(near + j) = exponential(*(const wide *)(near + j) - most);
            float share = 1.0f / total(near, length);
            for (int64_t d = 0; d < size; d += LANES) {
                wide sum = {0};
                for (int64_t j = 0; j < length; j++)
                    sum += near[j] * share * *(const wide *)(value + j * 3 * width + d);
                *(wide *)(said + d) = sum;
            }
        }
    }
}

/* Texts laid end to end, `lengths` tokens each, to one vector a text, not of unit length.
 * room: rows * (5 * width + inner) + (longest + 7) * (size + 1) floats, rows = the sum of lengths;
 * width, inner and size are multiples of 8.
 */
void lethe_encode(const model_t *model, const int32_t *tokens, const int32_t *lengths,
                  int64_t texts, float *out, float *room, int16_t *whole, float *worth) {
    int64_t width = model->width, rows = 0;
    for (int64_t t = 0; t < texts; t++) rows += lengths[t];
    float *state = room, *qkv = state + rows * width, *mixed = qkv + rows * 3 * width;
    float *inner = mixed + rows * width, *spare = inner + rows * model->inner;
    for (int64_t t = 0, r = 0; t < texts; t++)
        for (int64_t at = 0; at < lengths[t]; at++, r++) {
            const float *word = model->words + tokens[r] * width;
            const float *position = model->positions + (model->first_position + at) * width;
            for (int64_t i = 0; i < width; i++) state[r * width + i] = word[i] + position[i];
            normalise(state + r * width, 0, width, model->norm, model->epsilon);
        }
    for (int64_t depth = 0; depth < model->depth; depth++) {
        const layer_t *layer = model->layers + depth;
        through(&layer->qkv, state, rows, qkv, whole, worth);
        for (int64_t t = 0, r = 0; t < texts; r += lengths[t++])
            attend(model, qkv + r * 3 * width, lengths[t], mixed + r * width, spare);
        through(&layer->out, mixed, rows, qkv, whole, worth);
        for (int64_t r = 0; r < rows; r++)
            normalise(state + r * width, qkv + r * width, width, layer->norm_attention,
                      model->epsilon);
        through(&layer->up, state, rows, inner, whole, worth);
        for (int64_t r = 0; r < rows; r++)
            activate(inner + r * model->inner, model->inner, model->activation);
        through(&layer->down, inner, rows, mixed, whole, worth);
        for (int64_t r = 0; r < rows; r++)
            normalise(state + r * width, mixed + r * width, width, layer->norm_output,
                      model->epsilon);
    }
    for (int64_t t = 0, r = 0; t < texts; r += lengths[t++]) {
        float *vector = out + t * width;
        memcpy(vector, state + r * width, (size_t)width * sizeof *vector);
        for (int64_t at = 1; model->mean && at < lengths[t]; at++)
            for (int64_t i = 0; i < width; i++) vector[i] += state[(r + at) * width + i];
    }
}
