# The addon anchorproof.node and the executable anchorproof-prover, on the same engines. build.mjs copies this file, src/
# and the headers (node/, napi/) into a workshop and runs node-gyp there; all paths below are the workshop's.
{
  'variables': {
    # Digest of everything that is compiled; the addon exports it as `build`, the executable prints it for --build.
    'build_id%': 'unknown',
  },
  'target_defaults': {
    'defines': ['NDEBUG'],
    'cflags_cc': [
      '-std=c++17',
      '-O3',
      # Never -march=native: each engine names its instruction set, and is chosen at run time.
      # Limbs are read from mapped files and byte buffers.
      '-fno-strict-aliasing',
      # Arithmetic in doubles must not depend on what the compiler contracts.
      '-ffp-contract=off',
      '-fvisibility=hidden',
      '-fvisibility-inlines-hidden',
      '-pthread',
      '-Wall',
      '-Wextra',
    ],
    'ldflags': ['-pthread', '-Wl,-z,relro', '-Wl,-z,now'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'CLANG_CXX_LIBRARY': 'libc++',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_ENABLE_CPP_RTTI': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'GCC_STRICT_ALIASING': 'NO',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off', '-Wall', '-Wextra'],
    },
  },
  'targets': [
    {
      'target_name': 'engines',
      'type': 'static_library',
      # Whole, not a list of object files: the GPU library's unit programs and harness are linked with it later.
      'standalone_static_library': 1,
      # The portable one first: of equal inline functions the linker keeps the first, which every processor must run.
      'sources': [
        'src/engine.cpp',
        'src/cards.cpp',
        'src/engine_portable.cpp',
        'src/engine_adx.cpp',
        'src/engine_ifma.cpp',
      ],
      # dlopen, where it is not in the C library
      'conditions': [['OS=="linux"', {'link_settings': {'libraries': ['-ldl']}}]],
    },
    {
      'target_name': 'anchorproof',
      'dependencies': ['engines'],
      'sources': ['src/addon.cpp'],
      'include_dirs': ['napi'],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        # A worker that is being terminated cannot take an exception; that must not end the process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
        'ANCHORPROOF_BUILD="<(build_id)"',
      ],
      # nodelete: when the worker that loaded the addon ends, others may still be in it.
      'ldflags': ['-Wl,-z,nodelete'],
    },
    {
      'target_name': 'anchorproof-prover',
      'type': 'executable',
      'dependencies': ['engines'],
      'sources': ['src/prover_main.cpp'],
      'defines': ['ANCHORPROOF_BUILD="<(build_id)"'],
    },
  ],
}
