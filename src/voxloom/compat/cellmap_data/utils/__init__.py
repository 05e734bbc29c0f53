"""The older library's helpers: shapes and paths, metadata, pictures, links."""

from voxloom.compat.cellmap_data.utils.figs import (
    fig_to_image,
    get_fig_dict,
    get_image_dict,
    get_image_grid,
    get_image_grid_numpy,
)
from voxloom.compat.cellmap_data.utils.geometry import box_intersection, box_shape, box_union
from voxloom.compat.cellmap_data.utils.metadata import (
    add_multiscale_metadata_levels,
    create_multiscale_metadata,
    find_level,
    generate_base_multiscales_metadata,
    write_metadata,
)
from voxloom.compat.cellmap_data.utils.misc import (
    array_has_singleton_dim,
    expand_scale,
    get_sliced_shape,
    is_array_2D,
    longest_common_substring,
    permute_singleton_dimension,
    split_target_path,
    torch_max_value,
)
from voxloom.compat.cellmap_data.utils.sampling import min_redundant_inds
from voxloom.compat.cellmap_data.utils.view import get_neuroglancer_link, open_neuroglancer

__all__ = [
    "add_multiscale_metadata_levels",
    "array_has_singleton_dim",
    "box_intersection",
    "box_shape",
    "box_union",
    "create_multiscale_metadata",
    "expand_scale",
    "fig_to_image",
    "find_level",
    "generate_base_multiscales_metadata",
    "get_fig_dict",
    "get_image_dict",
    "get_image_grid",
    "get_image_grid_numpy",
    "get_neuroglancer_link",
    "get_sliced_shape",
    "is_array_2D",
    "longest_common_substring",
    "min_redundant_inds",
    "open_neuroglancer",
    "permute_singleton_dimension",
    "split_target_path",
    "torch_max_value",
    "write_metadata",
]
