#!/usr/bin/env python3
"""How exact the math library is, measured.

Run:  python3 tests/accuracy/check.py [--full] [name ...]

Translates runtime/math/*.arex to C (a body is nearly Python, so Python's own parser reads it), compiles that with
gcc (needs libquadmath, part of gcc) and compares each function with a wider reference: float32 with glibc's double, float64
with __float128. Prints function, dtype, largest error in ulp and where; exits 1 when one is over its bound or a special
value is wrong. --full takes every float32 input and more random float64 ones (minutes); without, a sample (seconds).
"""
import ast, glob, os, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MATH = os.path.join(HERE, '..', '..', 'runtime', 'math')
C = {'f32': 'float', 'f64': 'double', 'i32': 'int32_t', 'i64': 'int64_t', 'bool': 'int'}
OTHER = {'f32': 'i32', 'f64': 'i64', 'i32': 'f32', 'i64': 'f64'}
NAMES = {'float32': 'f32', 'float64': 'f64', 'int32': 'i32', 'int64': 'i64'}


def parse(text):
    """name -> (params, lets, result) of every def in a file."""
    text = re.sub(r'#.*', '', text)
    defs = {}
    for m in re.finditer(r'def (\w+)\(([^)]*)\)\s*(=\s*([^\n]*)|\{(.*?)\n\})', text, re.S):
        body = ('return ' + m[4]) if m[4] is not None else m[5].replace(';', '\n')
        src = 'def f():\n' + '\n'.join('  ' + l.strip() for l in body.split('\n') if l.strip())
        stmts = ast.parse(src).body[0].body
        defs[m[1]] = ([a.strip() for a in m[2].split(',')], stmts)
    return defs


class Translator:
    def __init__(self, defs):
        self.defs, self.done, self.out, self.n_ops = defs, {}, [], {}

    def function(self, name, types):
        key = name + '__' + '_'.join(re.sub(r'\W', '_', str(t)) for t in types)
        if key in self.done:
            return key, self.done[key]
        params, stmts = self.defs[name]
        env = {p: ('v_' + p, t) if isinstance(t, str) else (t[0], 'weak') for p, t in zip(params, types)}
        lines, ops = [], self.n_ops.setdefault(name, 0)
        self.cur = name
        for s in stmts:
            self.cur = name
            if isinstance(s, ast.Return) and isinstance(s.value, ast.Tuple):
                vs = [self.expr(e, env) for e in s.value.elts]
                ret = tuple(v[1] for v in vs)
                self.out.append('struct %s { %s };\n' % (key, ' '.join('%s r%d;' % (C[t], i) for i, t in enumerate(ret))))
                lines.append('    return (struct %s){%s};' % (key, ', '.join(v[0] for v in vs)))
            elif isinstance(s, ast.Return):
                v = self.expr(s.value, env)
                lines.append('    return %s;' % v[0])
                ret = v[1]
            elif isinstance(s.targets[0], ast.Tuple):
                v = self.expr(s.value, env)
                c = 't_%d' % len(lines)
                lines.append('    struct %s %s = %s;' % (v[0].split('(')[0], c, v[0]))
                env.update({n.id: ('%s.r%d' % (c, i), t) for i, (n, t) in enumerate(zip(s.targets[0].elts, v[1]))})
            else:
                v = self.expr(s.value, env)
                n = s.targets[0].id
                c = 'v_%s_%d' % (n, len(lines))
                if v[1] == 'weak':
                    env[n] = v
                    continue
                lines.append('    %s %s = %s;' % (C[v[1]], c, v[0]))
                env[n] = (c, v[1])
        args = ', '.join('%s v_%s' % (C[t], p) for p, t in zip(params, types) if isinstance(t, str))
        result = 'struct ' + key if isinstance(ret, tuple) else C[ret]
        self.out.append('static inline %s %s(%s)\n{\n%s\n}\n' % (result, key, args or 'void', '\n'.join(lines)))
        self.done[key] = ret
        return key, ret

    def lit(self, value, t):
        if t in ('i32', 'i64'):
            assert isinstance(value, int), value
            limit = 1 << (31 if t == 'i32' else 63)
            assert -limit <= value < limit, value
            return '((%s)%dLL)' % (C[t], value)
        if value != value: return '((%s)NAN)' % C[t]
        if value in (float('inf'), -float('inf')): return '((%s)%sINFINITY)' % (C[t], '-' if value < 0 else '')
        return '((%s)%r)' % (C[t], float(value))

    def join(self, *vs):
        ts = {v[1] for v in vs} - {'weak'}
        ts = ts or {'f64' if any(isinstance(v[0], float) for v in vs) else 'i64'}
        assert len(ts) == 1, vs
        t = ts.pop()
        return [v[0] if v[1] != 'weak' else self.lit(v[0], t) for v in vs], t

    def expr(self, e, env):
        x = lambda a: self.expr(a, env)
        if isinstance(e, ast.Constant): return e.value, 'weak'
        if isinstance(e, ast.Name):
            if e.id in env: return env[e.id]
            return float(e.id), 'weak'
        if isinstance(e, ast.UnaryOp):
            v = x(e.operand)
            if v[1] == 'weak': return -v[0], 'weak'
            self.n_ops[self.cur] += 1
            if isinstance(e.op, ast.USub): return '(-%s)' % v[0] if v[1][0] == 'f' else 'sub_%s(0, %s)' % (v[1], v[0]), v[1]
            return ('(!%s)' if v[1] == 'bool' else '(~%s)') % v[0], v[1]
        self.n_ops[self.cur] += 1
        if isinstance(e, ast.BinOp):
            (a, b), t = self.join(x(e.left), x(e.right))
            op = type(e.op).__name__
            if op in ('BitAnd', 'BitOr', 'BitXor'):
                return '(%s %s %s)' % (a, {'BitAnd': '&', 'BitOr': '|', 'BitXor': '^'}[op], b), t
            if op in ('LShift', 'RShift'): return '%s_%s(%s, %s)' % ('shl' if op == 'LShift' else 'shr', t, a, b), t
            if t[0] == 'i': return '%s_%s(%s, %s)' % ({'Add': 'add', 'Sub': 'sub', 'Mult': 'mul'}[op], t, a, b), t
            return '(%s %s %s)' % (a, {'Add': '+', 'Sub': '-', 'Mult': '*', 'Div': '/'}[op], b), t
        if isinstance(e, ast.Compare):
            assert len(e.ops) == 1
            (a, b), t = self.join(x(e.left), x(e.comparators[0]))
            op = {'Lt': '<', 'LtE': '<=', 'Gt': '>', 'GtE': '>=', 'Eq': '==', 'NotEq': '!='}[type(e.ops[0]).__name__]
            return '(%s %s %s)' % (a, op, b), 'bool'
        assert isinstance(e, ast.Call), ast.dump(e)
        f = e.func.id
        if f == 'frombits':
            v, t = x(e.args[0]), NAMES[e.args[1].id]
            assert v[1] == OTHER[t]
            return 'frombits_%s(%s)' % (t, v[0]), t
        vs = [x(a) for a in e.args]
        if f in self.defs:
            key, ret = self.function(f, [v[1] if v[1] != 'weak' else (v[0],) for v in vs])
            return '%s(%s)' % (key, ', '.join(v[0] for v in vs if v[1] != 'weak')), ret
        if f in ('where', 'rarely'):
            (a, b), t = self.join(*vs[1:])
            assert vs[0][1] == 'bool'
            return '(%s ? %s : %s)' % (vs[0][0], a, b), t
        if f in NAMES:
            a, to = vs[0], NAMES[f]
            if a[1] == 'weak': return self.lit(a[0], to), to
            return ('%s_from_%s(%s)' % (to, a[1], a[0]) if a[1][0] == 'f' and to[0] == 'i' else '((%s)%s)' % (C[to], a[0])), to
        args, t = self.join(*vs)
        if f == 'bits': return 'bits_%s(%s)' % (t, args[0]), OTHER[t]
        if t == 'bool' or t[0] == 'i' and f not in ('minimum', 'maximum'): raise AssertionError(f)
        f = {'abs': 'fabs'}.get(f, f)
        if f in ('minimum', 'maximum'): return '%s_%s(%s)' % (f, t, ', '.join(args)), t
        return '%s%s(%s)' % (f, 'f' if t == 'f32' else '', ', '.join(args)), t


PRELUDE = r'''
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define INTS(N, W, T, U) \
    static inline T add_##N(T a, T b) { return (T)((U)a + (U)b); } \
    static inline T sub_##N(T a, T b) { return (T)((U)a - (U)b); } \
    static inline T mul_##N(T a, T b) { return (T)((U)a * (U)b); } \
    static inline T shl_##N(T a, T b) { return b < 0 || b >= W ? 0 : (T)((U)a << b); } \
    static inline T shr_##N(T a, T b) { return b < 0 || b >= W ? (a < 0 ? -1 : 0) : a >> b; }
#define LIMITS(N, T) \
    static inline T minimum_##N(T a, T b) { return a < b ? a : b; } \
    static inline T maximum_##N(T a, T b) { return a > b ? a : b; }
LIMITS(i32, int32_t)
LIMITS(i64, int64_t)
INTS(i32, 32, int32_t, uint32_t)
INTS(i64, 64, int64_t, uint64_t)
#define FLOATS(F, T, I, IT, QNAN) \
    static inline IT bits_##F(T x) { IT i; if (x != x) return QNAN; memcpy(&i, &x, sizeof i); return i; } \
    static inline T frombits_##F(IT i) { T x; memcpy(&x, &i, sizeof x); return x; } \
    static inline T minimum_##F(T a, T b) { return a != a ? a : b != b ? b : a < b || (a == b && signbit(a)) ? a : b; } \
    static inline T maximum_##F(T a, T b) { return a != a ? a : b != b ? b : a > b || (a == b && !signbit(a)) ? a : b; } \
    static inline int32_t i32_from_##F(T x) { return x != x ? 0 : x >= 2147483648.0 ? INT32_MAX : x < -2147483648.0 ? INT32_MIN : (int32_t)x; } \
    static inline int64_t i64_from_##F(T x) { return x != x ? 0 : x >= 9223372036854775808.0 ? INT64_MAX : x < -9223372036854775808.0 ? INT64_MIN : (int64_t)x; }
FLOATS(f32, float, i32, int32_t, 0x7fc00000)
FLOATS(f64, double, i64, int64_t, 0x7ff8000000000000)
static uint64_t seed = 88172645463325252ull;
static uint64_t rnd(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed * 2685821657736338717ull; }
static double unit(void) { return (double)(rnd() >> 11) * 0x1p-53; }
static double wide(void) { return frombits_f64((int64_t)rnd()); }
static float widef(void) { return frombits_f32((int32_t)(rnd() >> 32)); }
/* Distance in ulp of the exact value's binade; special values must agree. The rounding to inf has an exact value too. */
static double ulp32(float got, double want)
{
    if (want != want || got != got) return want != want && got != got ? 0 : 1e9;
    float w = (float)want;
    if (isinf(w) || isinf(got) || want == 0) return got == w && !signbit(got) == !signbit(w) ? 0 : isinf(w) && fabsf(got) == 0x1.fffffep127f && fabs(want) < 0x1.000001p128 ? 1 : isinf(got) && fabs(want) > 0x1.fffffep127 ? 1 : 1e9;
    if (!signbit(got) != !signbit(w)) return 1e9;
    int e = ilogb(want);
    return fabs((double)got - want) / ldexp(1, (e < -126 ? -126 : e) - 23);
}
static double ulp64(double got, __float128 want)
{
    if (want != want || got != got) return want != want && got != got ? 0 : 1e9;
    double w = (double)want;
    if (isinf(w) || isinf(got) || want == 0) return got == w && !signbit(got) == !signbit(w) ? 0 : isinf(w) && fabs(got) == 0x1.fffffffffffffp1023 && fabsq(want) < 0x1.00000000000008p1024Q ? 1 : isinf(got) && fabsq(want) > 0x1.fffffffffffffp1023 ? 1 : 1e9;
    if (!signbit(got) != !signbit(w)) return 1e9;
    int e = ilogbq(want);
    return (double)(fabsq((__float128)got - want) / ldexpq(1, (e < -1022 ? -1022 : e) - 52));
}
static double worst, at_x, at_y;
static void see(double u, double x, double y) { if (u > worst) { worst = u; at_x = x; at_y = y; } }
static const double special[] = {0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, INFINITY, -INFINITY, NAN, 0x1p-1074, -0x1p-1074, 0x1p-149,
    -0x1p-149, 0x1p-1022, 0x1p-126, 0x1.fffffep127, 0x1.fffffffffffffp1023, -0x1.fffffffffffffp1023, 6381956970095103.0 * 0x1p797, 0x1p24, 16777217.0,
    0x1p53, 9007199254740991.0, 709.782712893384, 709.7827128933841, -745.1332191019411, -745.1332191019412, -708.4, 88.72283, -103.97208, 1e22, 1e300, -1e300};
enum { SPECIALS = sizeof special / sizeof *special };
#define DRIVE(name, F32, F64, ref, refq, near) \
static void test32_##name(uint64_t stride) { worst = -1; \
    for (uint64_t i = 0; i < 1ull << 32; i += stride) { float x = frombits_f32((int32_t)(uint32_t)(stride > 1 ? i + rnd() % stride : i)); see(ulp32(F32(x), ref((double)x)), x, 0); } \
    for (int i = 0; i < SPECIALS; i++) { float x = (float)special[i]; see(ulp32(F32(x), ref((double)x)), x, 0); } } \
static void test64_##name(uint64_t n) { worst = -1; \
    for (uint64_t i = 0; i < n; i++) { double x = i % 3 ? near : wide(); see(ulp64(F64(x), refq((__float128)x)), x, 0); } \
    for (int i = 0; i < SPECIALS; i++) see(ulp64(F64(special[i]), refq((__float128)special[i])), special[i], 0); }
static double by_pi(void) { double x = (double)(rnd() >> (20 + rnd() % 43)) * 1.5707963267948966; return frombits_f64(bits_f64(x) + (int64_t)(rnd() % 5) - 2); }
static double near_one(void) { return 1 + (unit() - 0.5) * ldexp(1, -(int)(rnd() % 50)); }
static double sized(void) { return copysign(ldexp(1 + unit(), (int)(rnd() % 40) - 34), unit() - 0.5); }
'''
# Where float64 is looked at most, beside all bit patterns.
NEAR = {'exp': '(rnd() % 4 ? (unit() - 0.513) * 1460 : (unit() - 0.5) * 2)', 'log': '(rnd() % 2 ? near_one() : 4 * unit())',
        'sin': '(rnd() % 2 ? by_pi() : (unit() - 0.5) * ldexp(1, rnd() % 34))',
        'unit': '(rnd() % 2 ? 2 * unit() - 1 : rnd() % 2 ? near_one() : ldexp(unit() - 0.5, -(int)(rnd() % 60)))',
        'sized': '(rnd() % 2 ? sized() : (unit() - 0.5) * 40)'}
# name: (reference in double, reference in __float128, NEAR or an expression)
ONE = {
    'exp': ('exp', 'expq', NEAR['exp']), 'log': ('log', 'logq', NEAR['log']),
    'sin': ('sin', 'sinq', NEAR['sin']), 'cos': ('cos', 'cosq', NEAR['sin']), 'tanh': ('tanh', 'tanhq', NEAR['sized']),
    'exp2': ('exp2', 'exp2q', '((unit() - 0.513) * 2110)'), 'exp10': ('exp10', 'ref_exp10', '((unit() - 0.513) * 640)'),
    'expm1': ('expm1', 'expm1q', '(rnd() % 4 ? rnd() % 2 ? sized() : (unit() - 0.5) * 100 : unit() * 710)'),
    'log2': ('log2', 'log2q', NEAR['log']), 'log10': ('log10', 'log10q', NEAR['log']),
    'log1p': ('log1p', 'log1pq', '(rnd() % 2 ? sized() : rnd() % 2 ? unit() * 8 - 1 : near_one() - 1)'),
    'rsqrt': ('1 / sqrt', '1 / sqrtq', '(64 * unit())'),
    'sinh': ('sinh', 'sinhq', '(rnd() % 2 ? sized() : (unit() - 0.5) * 1422)'), 'cosh': ('cosh', 'coshq', '(rnd() % 2 ? sized() : (unit() - 0.5) * 1422)'),
    'asinh': ('asinh', 'asinhq', NEAR['sized']), 'acosh': ('acosh', 'acoshq', '(1 + fabs(sized()))'), 'atanh': ('atanh', 'atanhq', NEAR['unit']),
    'cbrt': ('cbrt', 'cbrtq', NEAR['sized']),
    'erf': ('erf', 'erfq', '((unit() - 0.5) * 13)'), 'erfc': ('erfc', 'erfcq', '(unit() * 34 - 6.5)'),
    'sigmoid': ('ref_sigmoid', 'ref_sigmoidq', '(rnd() % 2 ? sized() : (unit() - 0.5) * 1490)'),
    'softplus': ('ref_softplus', 'ref_softplusq', '(rnd() % 2 ? sized() : (unit() - 0.5) * 1490)'),
    'tan': ('tan', 'tanq', NEAR['sin']), 'asin': ('asin', 'asinq', NEAR['unit']), 'acos': ('acos', 'acosq', NEAR['unit']),
    'atan': ('atan', 'atanq', NEAR['sized']), 'sinpi': ('ref_sinpi', 'ref_sinpiq', NEAR['sized']), 'cospi': ('ref_cospi', 'ref_cospiq', NEAR['sized']),
    'degrees': ('(180 / M_PI) *', '(180 / M_PIq) *', NEAR['sized']), 'radians': ('(M_PI / 180) *', '(M_PIq / 180) *', NEAR['sized']),
}
# name: (reference in double, in __float128, x, y): two arguments as they are tried, in float64; float32 rounds them
TWO = {
    'atan2': ('atan2', 'atan2q', 'sized()', 'x * sized()', '1'),
    'hypot': ('hypot', 'hypotq', 'sized()', 'x * sized()', '1'),
    'logaddexp': ('(double)ref_logaddexp', 'ref_logaddexp', 'unit() * 20', 'x + (unit() - 0.5) * ldexp(1, rnd() % 12 - 4)', 'x > 0 && y > 0'),
    'logaddexp2': ('(double)ref_logaddexp2', 'ref_logaddexp2', 'unit() * 20', 'x + (unit() - 0.5) * ldexp(1, rnd() % 12 - 4)', 'x > 0 && y > 0'),
}
# Bounds in ulp other than 1.
BOUNDS = {}
REFERENCES = r'''
#define PI_TIMES(T, name, sine, cosine, pi, away, round) \
    static T name(T x, int quarter) { if (!(x - x == 0)) return NAN; T y = away(x, 2), n = round(2 * y), r = pi * (y - n / 2); int q = ((int)n + quarter) & 3; \
        return q & 1 ? (q & 2 ? -cosine(r) : cosine(r)) : r == 0 ? 0 : q & 2 ? -sine(r) : sine(r); }
PI_TIMES(double, times_pi, sin, cos, M_PI, remainder, rint)
PI_TIMES(__float128, times_piq, sinq, cosq, M_PIq, remainderq, rintq)
static double ref_sinpi(double x) { double v = times_pi(x, 0); return v == 0 ? copysign(0, x) : v; }
static double ref_cospi(double x) { return times_pi(x, 1); }
static __float128 ref_sinpiq(__float128 x) { __float128 v = times_piq(x, 0); return v == 0 ? copysignq(0, x) : v; }
static __float128 ref_cospiq(__float128 x) { return times_piq(x, 1); }
static double ref_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double ref_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static __float128 ref_sigmoidq(__float128 x) { return 1 / (1 + expq(-x)); }
static __float128 ref_softplusq(__float128 x) { return x > 0 ? x + log1pq(expq(-x)) : log1pq(expq(x)); }
static __float128 ref_exp10(__float128 x) { return powq(10, x); }
static __float128 ref_logaddexp(__float128 a, __float128 b) { __float128 m = fmaxq(a, b), k = fminq(a, b); return a != a || b != b ? a + b : m - k > -HUGE_VALQ && m - k < HUGE_VALQ ? m + log1pq(expq(k - m)) : m; }
static __float128 ref_logaddexp2(__float128 a, __float128 b) { __float128 m = fmaxq(a, b), k = fminq(a, b); return a != a || b != b ? a + b : m - k > -HUGE_VALQ && m - k < HUGE_VALQ ? m + log1pq(exp2q(k - m)) / M_LN2q : m; }
'''
POWER = r'''
static double pick_y(double x) { double l = log2(fabs(x)); double t = (unit() - 0.5) * 2200; return rnd() % 4 ? t / l : rint(t / l); }
static void test32_power(uint64_t stride) { worst = -1;
    for (uint64_t i = 0; i < (1ull << 32) / stride / 8; i++) {
        float x = i % 3 ? widef() : (float)near_one(); if (i % 4) x = fabsf(x);
        float y = i % 5 ? (float)(pick_y(x) * 0.14) : i % 2 ? widef() : (float)((int)(rnd() % 41) - 20);
        see(ulp32(power_float32__f32_f32(x, y), pow((double)x, (double)y)), x, y); }
    for (int i = 0; i < SPECIALS; i++) for (int k = 0; k < SPECIALS; k++) { float x = (float)special[i], y = (float)special[k];
        see(ulp32(power_float32__f32_f32(x, y), pow((double)x, (double)y)), x, y); } }
static __float128 ref_power(double x, double y) { if (x == 1 || y == 0 || x != x || y != y || isinf(x) || isinf(y) || x == 0 || fabs(y * log2(fabs(x))) > 1200) return pow(x, y); return powq(x, y); }
static void test64_power(uint64_t n) { worst = -1;
    for (uint64_t i = 0; i < n; i++) {
        double x = i % 3 ? wide() : near_one(); if (i % 4) x = fabs(x);
        double y = i % 5 ? pick_y(x) : i % 2 ? wide() : (double)((int)(rnd() % 41) - 20);
        see(ulp64(power_float64__f64_f64(x, y), ref_power(x, y)), x, y); }
    for (int i = 0; i < SPECIALS; i++) for (int k = 0; k < SPECIALS; k++)
        see(ulp64(power_float64__f64_f64(special[i], special[k]), ref_power(special[i], special[k])), special[i], special[k]); }
'''


DRIVE_TWO = r'''
static void test32_%(name)s(uint64_t stride) { worst = -1;
    for (uint64_t i = 0; i < (1ull << 32) / stride / 16; i++) {
        double x = i %% 3 ? %(x)s : widef(); float a = (float)x; x = a;
        double y = i %% 5 ? %(y)s : widef(); float b = (float)y; y = b;
        if (%(when)s) see(ulp32(%(f32)s(a, b), %(ref)s(x, y)), x, y); }
    for (int i = 0; i < SPECIALS; i++) for (int k = 0; k < SPECIALS; k++) { float x = (float)special[i], y = (float)special[k];
        if (%(when)s || !isfinite(x) || !isfinite(y)) see(ulp32(%(f32)s(x, y), %(ref)s((double)x, (double)y)), x, y); } }
static void test64_%(name)s(uint64_t n) { worst = -1;
    for (uint64_t i = 0; i < n; i++) {
        double x = i %% 3 ? %(x)s : wide();
        double y = i %% 5 ? %(y)s : wide();
        if (%(when)s) see(ulp64(%(f64)s(x, y), %(refq)s(x, y)), x, y); }
    for (int i = 0; i < SPECIALS; i++) for (int k = 0; k < SPECIALS; k++) { double x = special[i], y = special[k];
        if (%(when)s || !isfinite(x) || !isfinite(y)) see(ulp64(%(f64)s(x, y), %(refq)s(x, y)), x, y); } }
'''


def drivers(tr, name):
    """The C tests of a function, both dtypes."""
    n = 1 if name in ONE else 2
    pick = lambda dtype: name + '_' + dtype if name + '_' + dtype in tr.defs else name
    k32, _ = tr.function(pick('float32'), ['f32'] * n)
    k64, _ = tr.function(pick('float64'), ['f64'] * n)
    if name == 'power':
        return POWER
    if n == 1:
        return 'DRIVE(%s, %s, %s, %s, %s, %s)\n' % ((name, k32, k64) + ONE[name])
    ref, refq, x, y, when = TWO[name]
    return DRIVE_TWO % dict(name=name, f32=k32, f64=k64, ref=ref, refq=refq, x=x, y=y, when=when)


def main():
    full = '--full' in sys.argv
    wanted = [a for a in sys.argv[1:] if a[0] != '-'] or list(ONE) + ['power'] + list(TWO)
    defs = {}
    for path in sorted(glob.glob(os.path.join(MATH, '*.arex'))):
        with open(path) as fd: defs.update(parse(fd.read()))
    tr, tests, calls = Translator(defs), '', ''
    for name in wanted:
        tests += drivers(tr, name)
        for bits, amount in ((32, '1' if full else '1021'), (64, '20000000' if full else '400000')):
            calls += '    test%d_%s(%s); printf("%s float%d %%.4f %%.17g %%.17g\\n", worst, at_x, at_y); fflush(stdout);\n' % (bits, name, amount, name, bits)
    with tempfile.TemporaryDirectory() as tmp:
        c, exe = os.path.join(tmp, 'check.c'), os.path.join(tmp, 'check')
        with open(c, 'w') as fd: fd.write('#define _GNU_SOURCE\n' + PRELUDE + REFERENCES + '\n'.join(tr.out) + tests + 'int main(void)\n{\n%s    return 0;\n}\n' % calls)
        subprocess.run(['gcc', '-O2', '-march=native', '-ffp-contract=off', '-w', c, '-o', exe, '-lquadmath', '-lm'], check=True)
        out = subprocess.run([exe], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    bad = 0
    for line in out.splitlines():
        name, dtype, worst, x, y = line.split()
        over = float(worst) > BOUNDS.get(name, 1.0)
        bad |= over
        print('%-10s %-8s %10s ulp at %s%s%s' % (name, dtype, worst, x, '' if name in ONE else ', ' + y, '  OVER' if over else ''), flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
