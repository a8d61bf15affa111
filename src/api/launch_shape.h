/* Of what shape a launch is: items and their grain for a CPU's threads, grid and blocks for a GPU. Pure arithmetic. */
#ifndef AREX_API_LAUNCH_SHAPE_H
#define AREX_API_LAUNCH_SHAPE_H
#include "geometry.h"

/* Of a nest's main step, and of the one that joins its partial results. l: with grid and block of 1. */
void launch_shape_main(const struct ir *ir, const struct geometry *geo, struct device_launch *l);
void launch_shape_join(const struct geometry *geo, struct device_launch *l);
/* A kernel in blocks: the same on all devices. false with a diagnostic. */
bool launch_shape_fits(const struct geometry *geo, struct diags *diags);

#endif
