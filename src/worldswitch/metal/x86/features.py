"""The CPU features that are modelled: what a model names beyond these is taken from it."""

MODELLED = frozenset(
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
    "syscall nx lm sse3 ssse3 sse4_1 sse4_2 cx16 lahf_lm popcnt pcid x2apic movbe xsave fsgsbase "
    "bmi1 bmi2 smep smap erms invpcid umip pku rdpid abm pdpe1gb rdtscp svm npt nrip_save "
    "vmcb_clean flushbyasid decodeassists pausefilter lbrv constant_tsc arat "
    "cr8_legacy 3dnowprefetch htt vme xsaveopt xsavec xgetbv1 clflushopt clwb rdrand rdseed "
    "tsc_deadline_timer vgif vnmi v_vmsave_vmload svm_lock tsc_scale pfthreshold".split()
)
