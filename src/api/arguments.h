/* Are the arguments and the places for outputs what the program can work with? */
#ifndef AREX_API_ARGUMENTS_H
#define AREX_API_ARGUMENTS_H
#include "call.h"

/* Fills args, the types by which code is found. false with a diagnostic, as the others here. */
bool check_arguments(struct call *c, int n_inputs, int n_outputs, bool with_data);
bool check_output(struct call *c, uint32_t i); /* after results are described */
const char *call_input_name(const struct call *c, uint32_t i);
bool call_refuse(struct call *c, uint32_t i, const char *what); /* an input: says that it is so; false */

#endif
