/* Finding and opening libNVVM. See nvvm.h. */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/nvvm.h"

#define NO_SPAN ((struct span){0, 0})

/* The IR is that of version 2; CUDA 10 and older read another. */
enum { IR_MAJOR = 2 };

static bool segments_inside(int file, const Elf64_Ehdr *h, uint64_t size)
{
    for (unsigned i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr p;
        if (pread(file, &p, sizeof p, (off_t)(h->e_phoff + i * sizeof p)) != (ssize_t)sizeof p)
            return false;
        if (p.p_type == PT_LOAD && (p.p_offset > size || p.p_filesz > size - p.p_offset))
            return false;
    }
    return true;
}

/* The loader maps a file that was cut off, by a full disk or half a download, and the process dies at the first touch of what is
 * missing. What is not a library at all, or cannot be read, is left for the loader to say. */
static bool cut_off(const char *path)
{
    Elf64_Ehdr h;
    struct stat s;
    bool cut = false;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0 && fstat(file, &s) == 0 && S_ISREG(s.st_mode) && pread(file, &h, sizeof h, 0) == (ssize_t)sizeof h &&
        memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 && h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_phentsize == sizeof(Elf64_Phdr))
        cut = h.e_phoff > (uint64_t)s.st_size || !segments_inside(file, &h, (uint64_t)s.st_size);
    if (file >= 0)
        close(file);
    return cut;
}

static bool find(void *library, const char *symbol, void *out, struct strbuf *why)
{
    void *p = dlsym(library, symbol);
    if (!p)
        strbuf_printf(why, "it has no function %s", symbol);
    memcpy(out, &p, sizeof p);
    return p != NULL;
}

static bool find_all(struct nvvm *n, struct strbuf *why)
{
#define NVVM(field, symbol, result, parameters)                                                              \
    if (!find(n->library, symbol, &n->field, why))                                                           \
        return false;
#include "nvvm.def"
#undef NVVM
    return true;
}

static bool new_enough(const struct nvvm *n, struct strbuf *why)
{
    int major = 0, minor = 0, debug_major, debug_minor;
    if (n->ir_version(&major, &minor, &debug_major, &debug_minor) == NVVM_SUCCESS && major == IR_MAJOR)
        return true;
    strbuf_printf(why, "it reads version %d.%d of the IR, and %d.0 is written", major, minor, IR_MAJOR);
    return false;
}

/* It stays in the process: like LLVM it keeps tables, and the next compilation finds it ready. Its symbols meet no one else's. */
static bool open_file(struct nvvm *n, const char *path, struct strbuf *why)
{
    if (cut_off(path)) {
        strbuf_puts(why, "the file is cut off: install it again");
        return false;
    }
    n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!n->library) {
        const char *said = dlerror();
        strbuf_puts(why, said ? said : "no reason given");
        return false;
    }
    if (find_all(n, why) && new_enough(n, why))
        return true;
    nvvm_close(n);
    return false;
}

bool nvvm_open(struct nvvm *n, const struct codegen_place *places, unsigned n_places, struct diags *diags)
{
    struct strbuf *why = calloc(n_places + 1, sizeof *why);
    bool ok = false;
    memset(n, 0, sizeof *n);
    for (unsigned i = 0; why && i < n_places && !ok; i++)
        ok = open_file(n, places[i].path, &why[i]);
    if (!ok && why) {
        diag_add(diags, AX_no_libnvvm, NO_SPAN, "libNVVM was not found");
        for (unsigned i = 0; i < n_places; i++)
            diag_note(diags, NO_SPAN, "%s (%s): %s", places[i].path, places[i].provider, why[i].s ? why[i].s : "");
    } else if (!why) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    }
    for (unsigned i = 0; why && i < n_places; i++)
        strbuf_fini(&why[i]);
    free(why);
    return ok;
}

void nvvm_close(struct nvvm *n)
{
    if (n->library)
        dlclose(n->library);
    memset(n, 0, sizeof *n);
}

bool nvvm_describe(const struct nvvm *n, struct codegen_nvvm *out)
{
    Dl_info info;
    void *symbol;
    int debug_major, debug_minor;
    memset(out, 0, sizeof *out);
    memcpy(&symbol, &n->version, sizeof symbol);
    const char *file = dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : "";
    snprintf(out->path, sizeof out->path, "%s", file);
    return n->version(&out->major, &out->minor) == NVVM_SUCCESS && n->ir_version(&out->ir_major, &out->ir_minor, &debug_major, &debug_minor) == NVVM_SUCCESS;
}
