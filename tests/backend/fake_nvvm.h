/* What the false libNVVM of the tests can be told to do wrong. */
#ifndef FAKE_NVVM_H
#define FAKE_NVVM_H

enum fake_nvvm { FAKE_FINE, FAKE_BLANK_LOG, FAKE_OLD, FAKE_BEGINS_NOT, FAKE_READS_NOT, FAKE_COMPILES_NOT, FAKE_RESERVED, FAKE_NO_RESULT };

#endif
