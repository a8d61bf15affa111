/*
 * ELF64 relocatable object to one blob: sections that are loaded are laid out one after another, PC-relative
 * references between them resolved, entries listed. Nothing of the input is trusted.
 * System V ABI, AMD64 supplement: relocation types.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"

#define NO_SPAN ((struct span){0, 0})

enum { NOT_LOADED = -1, STUB_SIZE = 16, MAX_IMPORTS = 8, MAX_BLOB = 64 << 20 };

static const char *const allowed[] = {"fma", "fmaf"};

struct flatten {
    const uint8_t *bytes;
    size_t size;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    int64_t *offset; /* of each section in the blob */
    const Elf64_Sym *symbols;
    size_t n_symbols;
    const char *strings;
    size_t strings_size;
    struct kernel_image *out;
    size_t capacity;
    struct diags *diags;
};

static bool broken(struct flatten *f, const char *what)
{
    diag_add(f->diags, AX_codegen_failed, NO_SPAN, "the object file is malformed: %s", what);
    return false;
}

static bool no_memory(struct flatten *f)
{
    diag_add(f->diags, AX_out_of_memory, NO_SPAN, "out of memory while laying out code");
    return false;
}

static bool inside(const struct flatten *f, uint64_t at, uint64_t n)
{
    return at <= f->size && n <= f->size - at;
}

static bool read_header(struct flatten *f)
{
    f->header = (const Elf64_Ehdr *)f->bytes;
    if (f->size < sizeof *f->header || memcmp(f->header->e_ident, ELFMAG, SELFMAG) != 0 || f->header->e_ident[EI_CLASS] != ELFCLASS64 ||
        f->header->e_machine != EM_X86_64 || f->header->e_type != ET_REL || f->header->e_shentsize != sizeof *f->sections)
        return broken(f, "not an x86-64 object");
    if (f->header->e_shoff % 8 || !inside(f, f->header->e_shoff, (uint64_t)f->header->e_shnum * sizeof *f->sections))
        return broken(f, "section table");
    f->sections = (const Elf64_Shdr *)(f->bytes + f->header->e_shoff);
    for (unsigned i = 0; i < f->header->e_shnum; i++)
        if (f->sections[i].sh_type != SHT_NOBITS && !inside(f, f->sections[i].sh_offset, f->sections[i].sh_size))
            return broken(f, "section outside the file");
    return true;
}

static bool read_symbols(struct flatten *f)
{
    for (unsigned i = 0; i < f->header->e_shnum; i++) {
        const Elf64_Shdr *s = &f->sections[i];
        if (s->sh_type != SHT_SYMTAB)
            continue;
        if (s->sh_link >= f->header->e_shnum || s->sh_offset % 8 || f->sections[s->sh_link].sh_type != SHT_STRTAB)
            return broken(f, "symbol table");
        f->symbols = (const Elf64_Sym *)(f->bytes + s->sh_offset);
        f->n_symbols = s->sh_size / sizeof *f->symbols;
        f->strings = (const char *)f->bytes + f->sections[s->sh_link].sh_offset;
        f->strings_size = f->sections[s->sh_link].sh_size;
        if (f->strings_size == 0 || f->strings[f->strings_size - 1] != 0)
            return broken(f, "string table");
    }
    return f->symbols || broken(f, "no symbols");
}

static const char *symbol_name(const struct flatten *f, const Elf64_Sym *s)
{
    return s->st_name < f->strings_size ? f->strings + s->st_name : "";
}

static bool loaded(const Elf64_Shdr *s)
{
    return (s->sh_flags & SHF_ALLOC) && s->sh_type == SHT_PROGBITS && s->sh_size > 0;
}

/* Section names; read_header has checked that a table with bytes in the file lies inside it. */
static const Elf64_Shdr *name_table(const struct flatten *f)
{
    unsigned index = f->header->e_shstrndx;
    const Elf64_Shdr *s = index < f->header->e_shnum ? &f->sections[index] : NULL;
    return s && s->sh_type == SHT_STRTAB ? s : NULL;
}

/* Unwind tables describe code for debuggers; they hold no code or data of it. */
static bool wanted(const struct flatten *f, const Elf64_Shdr *names, unsigned i)
{
    static const char name[] = ".eh_frame";
    uint64_t at = f->sections[i].sh_name;
    bool unwind = at < names->sh_size && names->sh_size - at >= sizeof name &&
                  memcmp(f->bytes + names->sh_offset + at, name, sizeof name) == 0;
    return loaded(&f->sections[i]) && !unwind;
}

/* Gives each wanted section its place; the end of the last one stays below MAX_BLOB. */
static bool place_sections(struct flatten *f, uint64_t *size)
{
    const Elf64_Shdr *names = name_table(f);
    uint64_t end = 0;
    if (!names)
        return broken(f, "section names");
    for (unsigned i = 0; i < f->header->e_shnum; i++) {
        uint64_t align = f->sections[i].sh_addralign;
        f->offset[i] = NOT_LOADED;
        if (!wanted(f, names, i))
            continue;
        if (align > 4096 || (align & (align - 1)) || f->sections[i].sh_size > MAX_BLOB)
            return broken(f, "section too large");
        align = align ? align : 1;
        end = (end + align - 1) / align * align;
        if (end + f->sections[i].sh_size > MAX_BLOB)
            return broken(f, "too much code");
        f->offset[i] = (int64_t)end;
        end += f->sections[i].sh_size;
    }
    *size = (end + 15) / 16 * 16;
    return true;
}

static bool lay_out(struct flatten *f)
{
    uint64_t size = 0;
    f->offset = malloc((f->header->e_shnum + 1u) * sizeof *f->offset);
    if (!f->offset)
        return no_memory(f);
    if (!place_sections(f, &size))
        return false;
    f->out->size = size;
    f->capacity = f->out->size + MAX_IMPORTS * STUB_SIZE;
    f->out->bytes = calloc(1, f->capacity);
    if (!f->out->bytes)
        return no_memory(f);
    for (unsigned i = 0; i < f->header->e_shnum; i++)
        if (f->offset[i] >= 0)
            memcpy(f->out->bytes + f->offset[i], f->bytes + f->sections[i].sh_offset, f->sections[i].sh_size);
    return true;
}

/* A jump through a slot that the loader fills: jmp *2(%rip), two bytes of padding, eight bytes of address. */
static bool import(struct flatten *f, const char *name, int64_t *at)
{
    static const uint8_t jump[] = {0xff, 0x25, 0x02, 0x00, 0x00, 0x00, 0x90, 0x90};
    bool known = false;
    for (unsigned i = 0; i < f->out->n_imports; i++)
        if (strcmp(f->out->imports[i].name, name) == 0) {
            *at = (int64_t)f->out->imports[i].slot - 8;
            return true;
        }
    for (unsigned i = 0; i < sizeof allowed / sizeof *allowed; i++)
        known |= strcmp(allowed[i], name) == 0;
    if (!known || f->out->n_imports == MAX_IMPORTS) {
        diag_add(f->diags, AX_undefined_symbol, NO_SPAN, "compiled code calls '%s', which is not allowed", name);
        return false;
    }
    if (!f->out->imports && !(f->out->imports = calloc(MAX_IMPORTS, sizeof *f->out->imports)))
        return no_memory(f);
    *at = (int64_t)f->out->size;
    memcpy(f->out->bytes + f->out->size, jump, sizeof jump);
    struct image_import *im = &f->out->imports[f->out->n_imports++];
    strncpy(im->name, name, sizeof im->name - 1);
    im->slot = (uint32_t)f->out->size + 8;
    f->out->size += STUB_SIZE;
    return true;
}

static bool symbol_address(struct flatten *f, uint64_t index, int64_t *at)
{
    if (index >= f->n_symbols)
        return broken(f, "symbol number");
    const Elf64_Sym *s = &f->symbols[index];
    if (s->st_shndx == SHN_UNDEF)
        return import(f, symbol_name(f, s), at);
    if (s->st_shndx >= f->header->e_shnum || f->offset[s->st_shndx] < 0 || s->st_value > f->sections[s->st_shndx].sh_size)
        return broken(f, "symbol outside the loaded sections");
    *at = f->offset[s->st_shndx] + (int64_t)s->st_value;
    return true;
}

static bool relocate(struct flatten *f, unsigned section, const Elf64_Rela *r)
{
    int64_t target;
    uint32_t kind = ELF64_R_TYPE(r->r_info);
    if (r->r_offset > f->sections[section].sh_size || f->sections[section].sh_size - r->r_offset < 4)
        return broken(f, "relocation outside its section");
    if (kind != R_X86_64_PC32 && kind != R_X86_64_PLT32)
        return broken(f, "relocation that is not relative to the code");
    if (r->r_addend > INT32_MAX || r->r_addend < INT32_MIN)
        return broken(f, "relocation out of range");
    if (!symbol_address(f, ELF64_R_SYM(r->r_info), &target))
        return false;
    int64_t place = f->offset[section] + (int64_t)r->r_offset; /* all three below 2^32: no overflow */
    int64_t value = target + r->r_addend - place;
    if (value > INT32_MAX || value < INT32_MIN)
        return broken(f, "relocation out of range");
    int32_t word = (int32_t)value;
    memcpy(f->out->bytes + place, &word, sizeof word);
    return true;
}

static bool relocate_all(struct flatten *f)
{
    for (unsigned i = 0; i < f->header->e_shnum; i++) {
        const Elf64_Shdr *s = &f->sections[i];
        if (s->sh_type != SHT_RELA || s->sh_info >= f->header->e_shnum || f->offset[s->sh_info] < 0)
            continue;
        if (s->sh_offset % 8)
            return broken(f, "relocation table");
        const Elf64_Rela *r = (const Elf64_Rela *)(f->bytes + s->sh_offset);
        for (size_t k = 0; k < s->sh_size / sizeof *r; k++)
            if (!relocate(f, s->sh_info, &r[k]))
                return false;
    }
    return true;
}

static bool list_entries(struct flatten *f)
{
    f->out->entries = calloc(f->n_symbols + 1, sizeof *f->out->entries);
    if (!f->out->entries)
        return no_memory(f);
    for (size_t i = 0; i < f->n_symbols; i++) {
        const Elf64_Sym *s = &f->symbols[i];
        int64_t at;
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || ELF64_ST_BIND(s->st_info) != STB_GLOBAL || s->st_shndx == SHN_UNDEF)
            continue;
        if (!symbol_address(f, i, &at))
            return false;
        struct image_entry *e = &f->out->entries[f->out->n_entries];
        size_t length = strlen(symbol_name(f, s));
        if (length >= sizeof e->name || (uint64_t)at >= f->out->size)
            return broken(f, "entry");
        f->out->n_entries++;
        memcpy(e->name, symbol_name(f, s), length);
        e->offset = (uint32_t)at;
    }
    return true;
}

bool flatten_object(const uint8_t *bytes, size_t size, struct kernel_image *out, struct diags *diags)
{
    struct flatten f = {.size = size, .out = out, .diags = diags};
    memset(out, 0, sizeof *out);
    out->kind = IMAGE_NATIVE;
    uint8_t *copy = aligned_alloc(16, (size + 16) / 16 * 16); /* structures are read in place */
    if (copy)
        memcpy(copy, bytes, size);
    f.bytes = copy;
    bool ok = copy ? read_header(&f) && read_symbols(&f) && lay_out(&f) && relocate_all(&f) && list_entries(&f) : no_memory(&f);
    free(copy);
    free(f.offset);
    if (!ok)
        image_fini(out);
    return ok;
}
