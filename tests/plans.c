#include <stdlib.h>
#include <string.h>
#include "plans.h"
#include "ast/ast.h"
#include "sema/sema.h"

static uint8_t rank_of(struct str name)
{
    return name.n != 1 ? 1 : name.s[0] == 'm' ? 2 : name.s[0] == 't' ? 3 : name.s[0] == 's' ? 0 : 1;
}

static bool build(struct test_plan *p, const char *text, enum dtype dtype)
{
    struct sema_interface names = {0};
    struct ast_limits limits = {0};
    struct ast *tree = ast_parse(&p->arena, text, strlen(text), &limits, &p->diags);
    if (!tree || !sema_interface(&p->arena, tree, &names, &p->diags))
        return false;
    struct sema_arg *args = arena_array(&p->arena, struct sema_arg, names.inputs.n + 1);
    for (uint32_t i = 0; i < names.inputs.n; i++) {
        args[i].dtype = dtype;
        args[i].rank = rank_of(names.inputs.at[i].name);
    }
    struct ir *ir = sema_build(&p->arena, tree, &names, args, &(struct sema_limits){0}, &p->diags);
    p->plan = ir ? loop_build(&p->arena, ir, &(struct loop_limits){0}, &p->diags) : NULL;
    p->variants = p->plan ? loop_default_variants(&p->arena, p->plan) : NULL;
    return p->variants;
}

static void begin(struct test_plan *p, jmp_buf *failed)
{
    memset(p, 0, sizeof *p);
    arena_init(&p->arena, 0);
    diags_init(&p->diags);
    p->arena.on_fail = failed;
}

bool plan_make(struct test_plan *p, const char *text, enum dtype dtype)
{
    jmp_buf failed;
    begin(p, &failed);
    return setjmp(failed) == 0 && build(p, text, dtype);
}

bool plan_of_ir(struct test_plan *p, void (*make)(struct ir *ir, const void *how), const void *how)
{
    jmp_buf failed;
    begin(p, &failed);
    if (setjmp(failed) != 0)
        return false;
    struct ir *ir = arena_new(&p->arena, struct ir);
    ir_init(ir, &p->arena, 0);
    make(ir, how);
    p->plan = ir_verify(ir) ? NULL : loop_build(&p->arena, ir, &(struct loop_limits){0}, &p->diags);
    p->variants = p->plan ? loop_default_variants(&p->arena, p->plan) : NULL;
    return p->variants;
}

void plan_fini(struct test_plan *p)
{
    arena_fini(&p->arena);
    diags_fini(&p->diags);
}
