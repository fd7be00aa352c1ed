# What node-gyp takes from Node's own headers otherwise. The core needs Node-API only, whose headers come from the
# package node-api-headers, so that nothing is downloaded. See build.mjs.
{
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': {
      'Release': {},
    },
  },
}
