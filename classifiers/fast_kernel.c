/* One sentence encoder's forward pass, in whole numbers where it multiplies. Knows no model's name.
 *
 * Before a row is rounded to integers with a scale of its own it is turned (see `turn`), so that no
 * number of it is much larger than the others. Sums of integers are exact. So a token's row has the
 * same bits whatever stands in the rows beside it, and texts are laid end to end, unpadded.
 * Everything else is done row by row, in float, in one order, without contraction.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "fast_multiply.h"

typedef float wide __attribute__((vector_size(32), aligned(4)));
typedef int32_t whole_wide __attribute__((vector_size(32), aligned(4)));
typedef int16_t whole_narrow __attribute__((vector_size(16), aligned(2)));
typedef uint8_t whole_bytes __attribute__((vector_size(8), aligned(1)));
#define LANES 8
#define ASKED 4 /* tokens whose attention is computed together */

enum activation { NONE = 0, GELU = 1, RELU = 2 };

typedef struct {
    linear_t query, key, value, out, up, down; /* query's holds attention's scale */
    const float *norm_attention[2], *norm_output[2]; /* weight, bias */
} layer_t;

typedef struct {
    const float *words, *positions, *norm[2];
    const layer_t *layers;
    int64_t depth, width, heads, inner, first_position, activation, mean;
    double epsilon;
} model_t;

/* Room for rows as integers, what they are worth, and one row that is changed on the way. */
typedef struct {
    uint8_t *whole;
    float *worth, *row;
} workspace_t;

static inline wide either(whole_wide which, wide yes, wide no) {
    return (wide)(((whole_wide)yes & which) | ((whole_wide)no & ~which));
}

/* a * b + c, rounded once where the processor can; every x86-64-v3 can. */
static inline wide fused(wide a, wide b, wide c) {
#if defined(__FMA__)
    return (wide)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* To the nearest whole number, for sizes below 2^22. */
static inline wide rounded(wide x) { return (x + 12582912.0f) - 12582912.0f; }

static inline wide splat(float x) { return (wide){x, x, x, x, x, x, x, x}; }

static inline wide size_of(wide x) { return (wide)((whole_wide)x & 0x7fffffff); }

static inline wide larger(wide a, wide b) { return either(a > b, a, b); }

/* The largest of n numbers and `most`, or of their sizes; n is a multiple of LANES. */
static inline float largest(const float *row, int64_t n, float most, const int sizes) {
    const wide *at = (const wide *)row, *end = at + n / LANES;
    wide one = splat(most), two = one;
    for (; at + 2 <= end; at += 2) {
        one = larger(sizes ? size_of(at[0]) : at[0], one);
        two = larger(sizes ? size_of(at[1]) : at[1], two);
    }
    if (at < end) one = larger(sizes ? size_of(at[0]) : at[0], one);
    one = larger(one, two);
    for (int lane = 0; lane < LANES; lane++) most = one[lane] > most ? one[lane] : most;
    return most;
}

/* The sum of n numbers, or of their squares; n is a multiple of LANES. */
static inline float total(const float *row, int64_t n, const int squared) {
    const wide *at = (const wide *)row, *end = at + n / LANES;
    wide one = {0}, two = {0}, three = {0}, four = {0};
    for (; at + 4 <= end; at += 4) {
        one = squared ? fused(at[0], at[0], one) : one + at[0];
        two = squared ? fused(at[1], at[1], two) : two + at[1];
        three = squared ? fused(at[2], at[2], three) : three + at[2];
        four = squared ? fused(at[3], at[3], four) : four + at[3];
    }
    for (; at < end; at++) one = squared ? fused(*at, *at, one) : one + *at;
    one = (one + two) + (three + four);
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += one[lane];
    return sum;
}

/* e^x for x <= 0: Cephes' polynomial (expf), relative error below 2e-7. */
static inline wide exponential(wide x) {
    x = either(x < -87.0f, splat(-87.0f), x);
    wide n = rounded(x * 1.44269504088896341f);
    wide r = fused(n, splat(-0.693359375f), x);
    r = fused(n, splat(2.12194440e-4f), r);
    wide p = splat(1.9875691500e-4f);
    p = fused(p, r, splat(1.3981999507e-3f));
    p = fused(p, r, splat(8.3334519073e-3f));
    p = fused(p, r, splat(4.1665795894e-2f));
    p = fused(p, r, splat(1.6666665459e-1f));
    p = fused(p, r, splat(5.0000001201e-1f));
    p = fused(p * r, r, r + 1.0f);
    whole_wide power = (__builtin_convertvector(n, whole_wide) + 127) << 23;
    return p * (wide)power;
}

/* x * Phi(x), off by less than 3e-5 while |x| < 8, which is less than rounding to integers costs.
 * Phi(x) = 1/2 + x p(w), w = 2 (x / 4.5)^2 - 1, for |x| < 4.5; p is the polynomial that keeps the
 * largest error of x * Phi(x) least (Lawson's weighted least squares).
 */
static inline wide gelu(wide x) {
    static const float by[] = {-2.13515338e-3f, 3.35732329e-3f, -5.63994398e-3f, 1.09786517e-2f,
                               -1.8780136e-2f,  2.84159109e-2f, -4.01631737e-2f, 5.46883377e-2f,
                               -7.71907004e-2f, 1.56905123e-1f};
    wide near = either(x < -4.5f, splat(-4.5f), either(x > 4.5f, splat(4.5f), x));
    wide w = fused(near * near, splat(2 / 20.25f), splat(-1.0f));
    wide p = splat(6.74186098e-4f);
#pragma GCC unroll 10
    for (int i = 0; i < 10; i++) p = fused(p, w, splat(by[i]));
    return x * fused(near, p, splat(0.5f));
}

/* Turn a row of n numbers: eight lanes, v = n / 8 numbers each, are multiplied by Householder's
 * matrix over the odd part of v times Sylvester's Hadamard matrix over the rest, unscaled.
 * A large number is shared among many, and integers lose less (QuaRot, NeurIPS 2024).
 */
static void turn(float *row, int64_t n) {
    int64_t vectors = n / LANES, part = vectors & -vectors, odd = vectors / part;
    wide *at = (wide *)row;
    int64_t half = 1;
    for (; 2 * half < part; half *= 4)
        for (int64_t from = 0; from < vectors; from += 4 * half)
            for (int64_t i = from; i < from + half; i++) {
                wide a = at[i], b = at[i + half], c = at[i + 2 * half], d = at[i + 3 * half];
                wide plus = a + b, minus = a - b, more = c + d, less = c - d;
                at[i] = plus + more;
                at[i + half] = minus + less;
                at[i + 2 * half] = plus - more;
                at[i + 3 * half] = minus - less;
            }
    for (; half < part; half *= 2)
        for (int64_t from = 0; from < vectors; from += 2 * half)
            for (int64_t i = from; i < from + half; i++) {
                wide a = at[i], b = at[i + half];
                at[i] = a + b;
                at[i + half] = a - b;
            }
    for (int64_t i = 0; odd > 1 && i < part; i++) {
        wide sum = {0};
        for (int64_t j = 0; j < odd; j++) sum += at[j * part + i];
        sum *= 2.0f / (float)odd;
        for (int64_t j = 0; j < odd; j++) at[j * part + i] -= sum;
    }
}

/* Eight whole numbers below 256 as bytes. */
static inline void narrowed(whole_wide whole, uint8_t *into) {
#if defined(__x86_64__) && defined(__AVX2__)
    __m256i all = (__m256i)whole;
    __m128i pairs = _mm_packs_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storel_epi64((__m128i *)into, _mm_packus_epi16(pairs, pairs));
#else
    *(whole_bytes *)into = __builtin_convertvector(whole, whole_bytes);
#endif
}

/* A row as integers of at most `by->levels`; returns what one of them is worth. */
static float quantise(const linear_t *by, const float *row, uint8_t *into) {
    float most = largest(row, by->inputs, 0, 1);
    float times = most > 0 ? (float)by->levels / most : 0;
    for (int64_t i = 0; i < by->inputs; i += LANES) {
        wide x = rounded(*(const wide *)(row + i) * times);
        whole_wide whole = __builtin_convertvector(x, whole_wide);
        if (by->bytes == 1)
            narrowed(whole + MIDDLE, into + i);
        else
            *(whole_narrow *)(into + 2 * i) = __builtin_convertvector(whole, whole_narrow);
    }
    return most / (float)by->levels;
}

/* Rows into the integers that `by` multiplies, after the activation. */
static void prepare(const linear_t *by, const float *in, int64_t rows, int64_t activation,
                    workspace_t room) {
    for (int64_t r = 0; r < rows; r++) {
        const wide *from = (const wide *)(in + r * by->inputs);
        wide *to = (wide *)room.row;
        for (int64_t i = 0; i < by->inputs / LANES; i++)
            to[i] = activation == GELU   ? gelu(from[i])
                    : activation == RELU ? either(from[i] < 0, (wide){0}, from[i])
                                         : from[i];
        turn(room.row, by->inputs);
        room.worth[r] = quantise(by, room.row, room.whole + r * by->inputs * by->bytes);
    }
}

/* row = norm(row + added) */
static void normalise(float *row, const float *added, int64_t n, const float *const norm[2],
                      double epsilon) {
    if (added)
        for (int64_t i = 0; i < n; i++) row[i] += added[i];
    float mean = total(row, n, 0) / (float)n;
    for (int64_t i = 0; i < n; i++) row[i] -= mean;
    float by = 1.0f / sqrtf(total(row, n, 1) / (float)n + (float)epsilon);
    for (int64_t i = 0; i < n; i++) row[i] = row[i] * by * norm[0][i] + norm[1][i];
}

/* Attention of one head in one text. `keys`: (size, padded), zeros behind the text; `near`: room
 * for ASKED rows of `padded` floats. The rows of a head are `stride` apart, those of `out` `width`.
 */
static void attend(const float *query, const float *keys, const float *value, int64_t length,
                   int64_t size, int64_t stride, float *near, float *out, int64_t width) {
    int64_t padded = (length + LANES - 1) / LANES * LANES;
    for (int64_t i = 0; i < length; i += ASKED) {
        const float *asked[ASKED];
        float share[ASKED];
        for (int r = 0; r < ASKED; r++) /* the last one again, where there are fewer */
            asked[r] = query + (i + r < length ? i + r : length - 1) * stride;
        for (int64_t j = 0; j < padded; j += LANES) {
            wide sums[ASKED] = {{0}};
            for (int64_t d = 0; d < size; d++) {
                wide key = *(const wide *)(keys + d * padded + j);
                for (int r = 0; r < ASKED; r++)
                    sums[r] = fused(splat(asked[r][d]), key, sums[r]);
            }
            for (int r = 0; r < ASKED; r++) *(wide *)(near + r * padded + j) = sums[r];
        }
        for (int r = 0; r < ASKED; r++) {
            float *row = near + r * padded;
            for (int64_t j = length; j < padded; j++) row[j] = row[0];
            float most = largest(row, padded, row[0], 0);
            for (int64_t j = 0; j < padded; j += LANES)
                *(wide *)(row + j) = exponential(*(const wide *)(row + j) - most);
            for (int64_t j = length; j < padded; j++) row[j] = 0;
            share[r] = 1.0f / total(row, padded, 0);
        }
        for (int64_t d = 0; d < size; d += LANES) {
            wide sums[ASKED] = {{0}};
            for (int64_t j = 0; j < length; j++) {
                wide said = *(const wide *)(value + j * stride + d);
                for (int r = 0; r < ASKED; r++)
                    sums[r] = fused(splat(near[r * padded + j]), said, sums[r]);
            }
            for (int r = 0; r < ASKED && i + r < length; r++)
                *(wide *)(out + (i + r) * width + d) = sums[r] * share[r];
        }
    }
}

/* Attention of one text over itself. `room`: (size + ASKED) * (length + 7) floats. */
static void attention(const model_t *model, const float *qkv, int64_t length, float *out,
                      float *room) {
    int64_t width = model->width, size = width / model->heads;
    int64_t padded = (length + LANES - 1) / LANES * LANES;
    memset(room, 0, (size_t)(size * padded) * sizeof *room);
    for (int64_t head = 0; head < width; head += size) {
        const float *query = qkv + head, *key = query + width;
        for (int64_t j = 0; j < length; j++)
            for (int64_t d = 0; d < size; d++) room[d * padded + j] = key[j * 3 * width + d];
        attend(query, room, key + width, length, size, 3 * width, room + size * padded, out + head,
               width);
    }
}

/* (rows, inputs) to (rows, outputs). */
static void through(const linear_t *by, const float *in, int64_t rows, int64_t activation,
                    float *out, workspace_t room) {
    prepare(by, in, rows, activation, room);
    multiply(by, room.whole, rows, (target_t){out, by->outputs, room.worth});
}

/* (rows, width) to (rows, 3 * width). */
static void projected(const layer_t *layer, const float *in, int64_t rows, float *out,
                      workspace_t room) {
    const linear_t *each[] = {&layer->query, &layer->key, &layer->value};
    for (int at = 0; at < 3; at++) {
        if (at == 0 || each[at]->levels != each[at - 1]->levels)
            prepare(each[at], in, rows, NONE, room);
        int64_t width = each[at]->outputs;
        multiply(each[at], room.whole, rows, (target_t){out + at * width, 3 * width, room.worth});
    }
}

/* Whether this processor multiplies bytes and pairs with VNNI, 512 bits at a time. */
int lethe_vnni(void) { return has_vnni(); }

/* Texts laid end to end, `lengths` tokens each, to one vector a text, not of unit length.
 * room: rows * (5 * width + inner + 1) + (longest + 7) * (size + 4) + the larger of width and inner
 * floats, rows = the sum of lengths; whole: rows * that larger one * 2 bytes;
 * width, inner and size are multiples of 8.
 */
void lethe_encode(const model_t *model, const int32_t *tokens, const int32_t *lengths,
                  int64_t texts, float *out, float *room, uint8_t *whole) {
    int64_t width = model->width, rows = 0;
    for (int64_t t = 0; t < texts; t++) rows += lengths[t];
    float *state = room, *qkv = state + rows * width, *mixed = qkv + rows * 3 * width;
    float *inner = mixed + rows * width, *worth = inner + rows * model->inner;
    float *row = worth + rows, *spare = row + (width > model->inner ? width : model->inner);
    workspace_t work = {whole, worth, row};
    for (int64_t t = 0, r = 0; t < texts; t++)
        for (int64_t at = 0; at < lengths[t]; at++, r++) {
            const float *word = model->words + tokens[r] * width;
            const float *position = model->positions + (model->first_position + at) * width;
            for (int64_t i = 0; i < width; i++) state[r * width + i] = word[i] + position[i];
            normalise(state + r * width, 0, width, model->norm, model->epsilon);
        }
    for (int64_t depth = 0; depth < model->depth; depth++) {
        const layer_t *layer = model->layers + depth;
        projected(layer, state, rows, qkv, work);
        for (int64_t t = 0, r = 0; t < texts; r += lengths[t++])
            attention(model, qkv + r * 3 * width, lengths[t], mixed + r * width, spare);
        through(&layer->out, mixed, rows, NONE, qkv, work);
        for (int64_t r = 0; r < rows; r++)
            normalise(state + r * width, qkv + r * width, width, layer->norm_attention,
                      model->epsilon);
        through(&layer->up, state, rows, NONE, inner, work);
        through(&layer->down, inner, rows, model->activation, mixed, work);
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
