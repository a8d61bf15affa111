/* The stage that needs NVIDIA's tools: PTX through ptxas and nvdisasm in a folder of its own. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli.h"

static bool find_tool(const char *name, char *out, size_t room)
{
    const char *home = getenv("CUDA_HOME"), *path = getenv("PATH");
    if (home && snprintf(out, room, "%s/bin/%s", home, name) < (int)room && !access(out, X_OK))
        return true;
    while (path && *path) {
        size_t n = strcspn(path, ":");
        if (snprintf(out, room, "%.*s/%s", (int)n, path, name) < (int)room && !access(out, X_OK))
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static bool run_tool(char *const argv[])
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    bool ok = f && fputs(text, f) >= 0;
    return f && !fclose(f) && ok;
}

int sass_print(const char *ptx, const char *arch)
{
    char ptxas[512], nvdisasm[512], folder[] = "/tmp/arex-sass-XXXXXX", in[64], out[64], option[64], target[32] = "sm_75";
    if (!find_tool("ptxas", ptxas, sizeof ptxas) || !find_tool("nvdisasm", nvdisasm, sizeof nvdisasm)) {
        fputs("error: stage sass needs ptxas and nvdisasm, on PATH or in $CUDA_HOME/bin; `--stage ptx` needs neither\n", stderr);
        return EXIT_MACHINE;
    }
    if (arch)
        snprintf(target, sizeof target, "%s", arch);
    else if (strstr(ptx, ".target "))
        sscanf(strstr(ptx, ".target "), ".target %31[a-z0-9_]", target);
    if (!mkdtemp(folder))
        return EXIT_MACHINE;
    snprintf(in, sizeof in, "%s/a.ptx", folder);
    snprintf(out, sizeof out, "%s/a.cubin", folder);
    snprintf(option, sizeof option, "-arch=%s", target);
    char *assemble[] = {ptxas, option, "-o", out, in, NULL}, *show[] = {nvdisasm, out, NULL};
    bool ok = write_text(in, ptx) && run_tool(assemble) && run_tool(show);
    unlink(in);
    unlink(out);
    rmdir(folder);
    return ok ? EXIT_OK : EXIT_MACHINE;
}
