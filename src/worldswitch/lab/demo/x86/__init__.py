"""The x86 part: small guests that leave SVM in every way that is modelled."""
